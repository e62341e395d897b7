// Takes the pictures of the console in docs/images: the phone page, the list of leads, the dashboard.
//
// usage: NODE_PATH=<where playwright-core is> node tests/browser/pictures.cjs <server binary> [folder, docs/images]
// The server is started here, in a new folder, with data that is made up.
"use strict";

const path = require("node:path");
const { launch, startServer } = require("./server.cjs");

const PASSWORD = "violet-canoe-7350";
const SETTINGS = { OTP_CHANNELS: "sms,whatsapp,call", LIMIT_REQUESTS_PER_ADDRESS: "1000/1h", LIMIT_UNVERIFIED_SENDS_PER_PREFIX: "1000/1h" };
// The test inbox never delivers to this number.
const LOST = "+15005550011";

async function post(server, where, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  return (await fetch(`${server.base}${where}`, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

async function code(server, phone) {
  const found = await fetch(`${server.base}/dev/inbox.json?phone_number=${encodeURIComponent(phone)}`);
  return (await found.json()).messages[0].otp_code;
}

async function fill(server) {
  const names = ["Priya Nair", "Rohan Mehta", "Ananya Iyer", "Imran Khan", "Meera Joshi", "Arjun Reddy"];
  for (let number = 10; number < 34; number += 1) {
    const phone_number = `+9198${String(123 + number * 7919 + 10_000_000).slice(-8)}`;
    await post(server, "/api/auth/signup", { phone_number });
    if (number % 4 !== 0) continue;
    const { token } = await post(server, "/api/auth/verify-otp", { phone_number, otp_code: await code(server, phone_number) });
    const name = names[number % names.length];
    await post(server, "/api/auth/complete-profile", {
      phone_number, name, birth_date: "1995-01-01", gender: "female", event_interests: [1, 2], profile_pictures: ["https://example.com/picture.jpg"],
    }, token);
  }
  await post(server, "/api/auth/signup", { phone_number: LOST });
}

async function main() {
  const [binary, folder = "docs/images"] = process.argv.slice(2).map((name) => path.resolve(name));
  const server = await startServer(binary, SETTINGS);
  const browser = await launch();
  try {
    server.run(["createsuperuser", "--noinput", "--username", "asha"], { LOOPIN_SUPERUSER_PASSWORD: PASSWORD });
    await fill(server);
    // Until the reports of the test inbox have come.
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    await page.goto(`${server.base}/admin`);
    await page.getByLabel("Username or e-mail address").fill("asha");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Dashboard" }).waitFor();
    const pictures = { phone: `/admin/phones/${encodeURIComponent(LOST)}`, leads: "/admin/leads", dashboard: "/admin" };
    for (const [name, where] of Object.entries(pictures)) {
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
