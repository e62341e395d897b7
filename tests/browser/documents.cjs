// Walks through Swagger UI, the inbox and the documents in a real browser, as an app developer would, and fails where one would be
// stuck.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { startServer, watch } = require("./server.cjs");

const PHONE = "+919812345678";

module.exports = async function walk(browser, binary, screenshots) {
  const server = await startServer(binary, { OTP_CHANNELS: "sms,whatsapp,call" });
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 1400 } });
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: server.base });
    const page = await context.newPage();
    page.picture = (name) => screenshots && page.screenshot({ path: path.join(screenshots, `${name}.png`) });
    // The browser reports every answer of 400 and above; the walk asks for one on purpose.
    const wrong = watch(page, server.base, ["429"]);
    const code = await tryEverythingInSwaggerUi(page, server.base);
    await readTheInbox(page, server.base, code);
    await readTheDocuments(page, server.base);
    assert.deepEqual(wrong, []);
    await context.close();
    return 3;
  } finally {
    await server.stop();
  }
};

// Executes an operation in Swagger UI and reads the answer that it shows.
async function execute(page, operation, body) {
  const block = page.locator(`.opblock[id$="-${operation}"]`);
  await block.locator(".opblock-summary").click();
  if (body) await block.locator("textarea").fill(JSON.stringify(body));
  await block.locator(".execute").click();
  const answer = block.locator(".live-responses-table .response").first();
  const status = (await answer.locator(".response-col_status").innerText()).split("\n")[0];
  const shown = await answer.locator(".highlight-code").first().innerText();
  await page.picture(operation);
  return { status, body: JSON.parse(shown.slice(shown.indexOf("{"), shown.lastIndexOf("}") + 1)) };
}

async function tryEverythingInSwaggerUi(page, base) {
  await page.goto(`${base}/api/docs`);
  const signup = await execute(page, "signup", { phone_number: PHONE });
  assert.equal(signup.status, "200");

  const found = await fetch(`${base}/dev/inbox.json?phone_number=${encodeURIComponent(PHONE)}`);
  const [message] = (await found.json()).messages;
  const verified = await execute(page, "verifyOtp", { phone_number: PHONE, otp_code: message.otp_code });
  assert.equal(verified.status, "200");

  await page.locator(".btn.authorize").first().click();
  // Beside it is the key of another service.
  const bearer = page.locator(".auth-container form").filter({ hasText: "Bearer (http, Bearer)" });
  await bearer.locator("input").fill(verified.body.token);
  await bearer.locator(".auth-btn-wrapper .authorize").click();
  await bearer.locator(".btn-done").click();

  // The example that is filled in works for every signed-in user.
  assert.equal((await execute(page, "completeProfile")).status, "200");
  const read = await execute(page, "getProfile");
  assert.equal(read.status, "200");
  assert.equal(read.body.name, "Gaurav Kumar");
  assert.equal((await execute(page, "login", { phone_number: PHONE })).body.error.code, "otp_cooldown");
  return message.otp_code;
}

async function readTheInbox(page, base, code) {
  await page.goto(`${base}/dev/inbox`);
  await page.getByText(PHONE).first().waitFor();
  assert.ok((await page.locator("body").innerText()).includes(code), "the inbox shows the code");
  await shown(page, PHONE).getByText("Used", { exact: true }).waitFor();
  await page.getByRole("button", { name: /copy/i }).first().click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), code, "the copy button copies the code");
  await watchMessagesOnTheirWay(page, base);
  await callAndChat(page, base);
  await tryTheNumbersThatFail(page, base);
  await page.picture("inbox");
}

// The front page and the documents, at the width of a small phone, light and dark. Nothing is wider than the screen.
async function readTheDocuments(page, base) {
  await page.setViewportSize({ width: 360, height: 800 });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [link, name] of [["Guide", "guide"], ["loopin-auth", "front"]]) {
      await page.goto(`${base}/`);
      await page.getByRole("navigation", { name: "Site" }).getByRole("link", { name: link }).click();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 360, `${name} is ${wide} wide`);
      await page.picture(`${name}-${colorScheme}`);
    }
  }
  await page.goto(`${base}/`);
  await page.getByRole("link", { name: "Inbox" }).click();
  assert.equal(page.url(), `${base}/dev/inbox`);
  await page.goto(`${base}/PHONE_AUTHENTICATION.md`);
  await page.getByText("On this page").click();
  await page.locator(".contents a").nth(5).click();
  const [, id] = page.url().split("#");
  assert.ok(await page.locator(`[id="${decodeURIComponent(id)}"]`).isVisible(), "a chapter is found by its address");
}

async function signup(base, phone, languages, channel) {
  const answer = await fetch(`${base}/api/auth/signup`, {
    method: "POST",
    headers: { "content-type": "application/json", "accept-language": languages ?? "en" },
    body: JSON.stringify({ phone_number: phone, channel: channel ?? "sms" }),
  });
  return answer.json();
}

// The message to a phone, as the page shows it.
const shown = (page, phone) => page.locator(".message", { hasText: phone });

// A refresh keeps the nodes that did not change: a marked node keeps its mark, and the focus stays.
async function watchMessagesOnTheirWay(page, base) {
  const phone = "+919812345679";
  await signup(base, phone, "hi-IN,hi;q=0.9");
  const message = shown(page, phone);
  await message.getByText("तक मान्य").waitFor();
  await message.getByText("Works now").waitFor();
  assert.equal(await message.locator(".bubble").getAttribute("lang"), "hi");
  const button = message.getByRole("button", { name: /copy/i });
  await button.focus();
  await message.evaluate((node) => { node.dataset.mark = "the same node"; });
  await message.getByText("Delivered").waitFor();
  assert.deepEqual(
    (await message.locator(".steps li").allInnerTexts()).map((step) => step.split(" ")[0]),
    ["Queued", "Sent", "Delivered"],
  );
  assert.equal(await message.getAttribute("data-mark"), "the same node");
  assert.ok(await button.evaluate((node) => node === document.activeElement), "the focus survives a poll");
}

async function callAndChat(page, base) {
  await signup(base, "+919812345670", "en", "call");
  const call = shown(page, "+919812345670");
  await call.getByText("Incoming call").waitFor();
  assert.match(await call.locator(".bubble").innerText(), /code is: (\d, ){3}\d\./, "the voice spells the code");
  await call.getByText("Answered").waitFor();
  await signup(base, "+919812345671", "en", "whatsapp");
  const chat = shown(page, "+919812345671");
  await chat.getByText("Delivered").waitFor();
  assert.equal(await chat.getByText("Incoming call").isVisible(), false);
}

async function tryTheNumbersThatFail(page, base) {
  await page.getByText("Numbers that fail on purpose").click();
  const help = page.locator("#numbers");
  await help.getByRole("button", { name: "+15005550011" }).click();
  const undelivered = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(undelivered, "+15005550011", "a number is copied by a click");
  await signup(base, undelivered);
  await shown(page, undelivered).filter({ hasText: "Undelivered" }).waitFor();
  const last = await shown(page, undelivered).locator(".steps .problem").innerText();
  assert.match(last, /30005: unknown handset/);

  await help.getByRole("button", { name: "+15005550004" }).click();
  const optedOut = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal((await signup(base, optedOut)).error.reason, "opted_out");
}
