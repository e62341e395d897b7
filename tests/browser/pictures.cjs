// Takes the pictures of the console in docs/images: the phone page, the list of leads, the dashboard.
//
// usage: NODE_PATH=<where playwright-core is> node tests/browser/pictures.cjs <server binary> [folder, docs/images]
// Needs Python 3. The server is started here, in a new folder, with data that is made up: one number by the API, and a month of others
// by past.sql.
"use strict";

const { execFileSync } = require("node:child_process");
const path = require("node:path");
const { launch, startServer } = require("./server.cjs");

const PASSWORD = "violet-canoe-7350";
// The test inbox never delivers to this number.
const LOST = "+15005550011";
const PICTURES = { phone: `/admin/phones/${encodeURIComponent(LOST)}`, leads: "/admin/leads", dashboard: "/admin" };
const FILL = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2], encoding='utf-8').read())";

// A time zone in which it is the evening now, so that today has numbers too.
function eveningZone() {
  const east = (18 - new Date().getUTCHours() + 36) % 24 - 12;
  return `Etc/GMT${east > 0 ? "-" : "+"}${Math.abs(east)}`;
}

async function post(server, where, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${server.base}${where}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${where}: ${answer.status}`);
}

function addAMonth(server) {
  const [database, sql] = [path.join(server.folder, "loopin-auth.sqlite3"), path.join(__dirname, "past.sql")];
  execFileSync("python3", ["-c", FILL, database, sql], { stdio: "inherit" });
}

async function signIn(page, base) {
  await page.goto(`${base}/admin`);
  await page.getByLabel("Username or e-mail address").fill("asha");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Dashboard" }).waitFor();
}

// The server counts the days in the background when it starts.
async function untilCounted(page, base) {
  for (let tries = 0; tries < 100; tries += 1) {
    await page.goto(`${base}/admin`);
    if ((await page.locator("svg.chart g").count()) > 28) return;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  throw new Error("the days are not counted");
}

async function main() {
  const [binary, folder = "docs/images"] = process.argv.slice(2).map((name) => path.resolve(name));
  const server = await startServer(binary, { OTP_CHANNELS: "sms,whatsapp,call", TIME_ZONE: eveningZone() });
  const browser = await launch();
  try {
    server.run(["createsuperuser", "--noinput", "--username", "asha"], { LOOPIN_SUPERUSER_PASSWORD: PASSWORD });
    await post(server, "/api/auth/signup", { phone_number: LOST });
    // Until the report of the test inbox has come.
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    await server.restart(() => addAMonth(server));
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    await signIn(page, server.base);
    await untilCounted(page, server.base);
    for (const [name, where] of Object.entries(PICTURES)) {
      await page.goto(`${server.base}${where}`);
      await page.screenshot({ path: path.join(folder, `console-${name}.png`) });
    }
  } finally {
    await browser.close();
    await server.stop();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
