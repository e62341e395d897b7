// Walks through the console as an admin and as staff, with JavaScript and without, looks at every page, and tries every form as a
// stranger would.
"use strict";

const assert = require("node:assert/strict");
const { createHmac } = require("node:crypto");
const fs = require("node:fs");
const crawl = require("./crawl.cjs");
const { startServer, watch } = require("./server.cjs");

const PASSWORD = "violet-canoe-7350";
const INTERESTS = ["Technology", "Entertainment"];
// Where the search for pages begins: the first page, and pages of which only a search knows.
const STARTS = ["/admin", "/admin/leads?q=4570", "/admin/phones/%2B919812345702", "/admin/phones/%2B919000000001"];
const SETTINGS = { STAFF_SECOND_FACTOR: "required", OTP_RESEND_SECONDS: "0", LIMIT_SENDS_PER_PHONE: "1000/1h" };

// The code of RFC 6238 with this key: SHA-1, six digits, 30 seconds. `later` is a number of steps.
function totp(key, later = 0) {
  const bits = [...key.replace(/\s/g, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const bytes = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const mac = createHmac("sha1", bytes).update(counter).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

async function post(server, path, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${server.base}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

async function messages(server, phone) {
  const found = await fetch(`${server.base}/dev/inbox.json?phone_number=${encodeURIComponent(phone)}`);
  return (await found.json()).messages;
}

// People who asked for a code: `...0` to `...5`. Two typed it.
async function fill(server, start) {
  for (let number = 0; number < 6; number += 1) {
    const phone_number = `${start}${number}`;
    await post(server, "/api/auth/signup", { phone_number });
    if (number < 4) continue;
    const [{ otp_code }] = await messages(server, phone_number);
    const { token } = await post(server, "/api/auth/verify-otp", { phone_number, otp_code });
    const profile = {
      phone_number, name: number === 4 ? "Priya Nair" : "محمد علي", birth_date: "1995-01-01", gender: "female",
      event_interests: [1, 2], profile_pictures: ["https://example.com/picture.jpg"],
    };
    await post(server, "/api/auth/complete-profile", profile, token);
  }
}

function newAdmin(server, name) {
  const printed = server.run(["createsuperuser", "--noinput", "--username", name], { LOOPIN_SUPERUSER_PASSWORD: PASSWORD });
  return enrolmentPath(printed);
}

function enrolmentPath(printed) {
  const [path] = printed.match(/\/admin\/enroll\/[^\s"]+/) ?? [];
  assert.ok(path, `no enrolment link is printed: ${printed}`);
  return path;
}

const press = (page, name) => page.getByRole("button", { name, exact: true }).first().click();
const follow = (page, name) => page.getByRole("link", { name, exact: true }).first().click();
const has = (page, text) => page.getByText(text).filter({ visible: true }).first().waitFor({ timeout: 10_000 });

// Sets up the second factor and signs in with it.
async function enterFor(page, server, name, path) {
  await page.goto(`${server.base}${path}`);
  const key = await page.locator("code.key").innerText();
  await page.getByLabel("Code", { exact: true }).fill(totp(key));
  await press(page, "Set up");
  assert.equal(await page.locator("ol.codes li").count(), 10);
  const recovery = await page.locator("ol.codes li").first().innerText();
  await page.goto(`${server.base}${path}`);
  await has(page, "used already");
  // A code works once, so the sign-in needs the next one.
  await signIn(page, server, name, totp(key, 1));
  return recovery;
}

async function signIn(page, server, name, code) {
  await page.goto(`${server.base}/admin`);
  await page.getByLabel("Username or e-mail address").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await press(page, "Sign in");
  await page.getByLabel("Code", { exact: true }).fill(code);
  await page.locator("main button[type=submit]").first().click();
  await page.getByRole("heading", { name: "Dashboard" }).waitFor();
}

async function findAndVerifyALead(page, phone) {
  await follow(page, "Leads");
  await page.locator("main input[name=q]").fill(phone.slice(-4));
  await press(page, "Show");
  const rows = page.locator("tbody tr");
  assert.equal(await rows.count(), 1, "the last digits find one lead");
  assert.ok(!(await page.content()).includes(phone.slice(3)), "the list holds no whole number");
  await rows.first().getByRole("link").first().click();
  await has(page, phone);
  await follow(page, "Verify by hand…");
  await press(page, "Verify by hand");
  await page.getByRole("link", { name: "Open the account" }).click();
  await page.getByRole("heading", { name: "Sessions and devices" }).waitFor();
  await has(page, phone);
}

async function sendACodeAgain(page, server, phone) {
  const before = (await messages(server, phone)).length;
  // In another spelling than that of the row.
  await page.getByRole("search").first().getByRole("searchbox").first().fill(`${phone.slice(3, 8)} ${phone.slice(8)}`);
  await press(page, "Search");
  await page.getByRole("heading", { name: phone }).waitFor();
  await page.getByRole("button", { name: /^Send a code/ }).first().click();
  await page.locator("[role=status]").first().waitFor();
  const after = await messages(server, phone);
  assert.equal(after.length, before + 1, "one more message is in the inbox");
  assert.match(after[0].otp_code, /^\d{4}$/);
  assert.ok(!(await page.content()).includes(`>${after[0].otp_code}<`), "the page shows no code");
}

async function exportLeads(page, server, phone, leads) {
  await page.goto(`${server.base}/admin/leads`);
  await follow(page, "Export as CSV…");
  await has(page, `Export ${leads} leads?`);
  const [download] = await Promise.all([page.waitForEvent("download"), press(page, "Export as CSV")]);
  const text = fs.readFileSync(await download.path(), "utf8");
  assert.ok(text.includes(phone.slice(1)), "the file has the whole number");
  assert.equal(text.trim().split(/\r?\n/).length, leads + 1, "a line of names, and one for each lead");
}

async function deactivateAnInterest(page, server, name) {
  const names = async () => (await (await fetch(`${server.base}/api/auth/event-interests`)).text());
  assert.ok((await names()).includes(name));
  await page.goto(`${server.base}/admin/interests`);
  await page.getByRole("row", { name }).getByRole("button", { name: /Deactivate/ }).click();
  for (let tries = 0; (await names()).includes(name); tries += 1) {
    assert.ok(tries < 100, `${name} is gone from the API within ten seconds`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function signOut(page, server) {
  await press(page, "Sign out");
  await has(page, "You are signed out.");
  await page.goto(`${server.base}/admin/leads`);
  assert.ok(new URL(page.url()).pathname.startsWith("/admin/sign-in"));
}

// What an admin does in a day, in a browser with or without JavaScript.
async function aDay(browser, server, { javaScriptEnabled, name, start, interest, leads }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, javaScriptEnabled });
  const page = await context.newPage();
  const wrong = watch(page, server.base, ["410", "403"]);
  const recovery = await enterFor(page, server, name, newAdmin(server, name));
  await findAndVerifyALead(page, `${start}1`);
  await sendACodeAgain(page, server, `${start}2`);
  await exportLeads(page, server, `${start}3`, leads);
  await deactivateAnInterest(page, server, interest);
  await signOut(page, server);
  await signIn(page, server, name, recovery);
  assert.deepEqual(wrong, []);
  return { context, page };
}

// Gives an account the role of staff, as an admin does it, and signs it in.
async function hireStaff(browser, server, admin, name) {
  await post(server, "/api/register/", { username: name, password: PASSWORD });
  await admin.goto(`${server.base}/admin/people`);
  await admin.locator("main input[type=search]").first().fill(name);
  await press(admin, "Show");
  await admin.locator("tbody tr").first().getByRole("link").first().click();
  await follow(admin, "Change role");
  await admin.getByLabel("Role").selectOption("staff");
  await press(admin, "Set the role");
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await enterFor(page, server, name, enrolmentPath(server.run(["second-factor", "reset", name])));
  return { context, page };
}

// A user with two accounts joins them, so that the page of the person has a way back. Returns the id.
async function joinTwoAccounts(server, username, phone_number) {
  await post(server, "/api/register/", { username, password: PASSWORD });
  const { access } = await post(server, "/api/token/", { username, password: PASSWORD });
  await post(server, "/api/auth/change-phone", { phone_number, merge: true }, access);
  const [{ otp_code }] = await messages(server, phone_number);
  const { data } = await post(server, "/api/auth/merge-accounts", { phone_number, otp_code }, access);
  return data.user_id;
}

// Names another account on the page of a person, and sees both side by side.
async function compareTwoAccounts(page, server, search, other) {
  await page.goto(`${server.base}/admin/people`);
  await page.locator("main input[type=search]").first().fill(search);
  await press(page, "Show");
  await page.locator("tbody tr").first().getByRole("link").first().click();
  await follow(page, "Join with another account");
  await page.getByLabel("The other account").fill(other);
  await press(page, "Compare");
  await has(page, "Both accounts, and what will stay");
}

async function cookies(context, base) {
  return (await context.cookies(base)).map(({ name, value }) => `${name}=${value}`).join("; ");
}

// The forms of these pages that change something: a path and the fields that the page fills in.
async function forms(page, urls) {
  const found = new Map();
  for (const url of urls) {
    await page.goto(url);
    const here = await page.locator("form[method=post]").evaluateAll((all) =>
      all.map((form) => ({ action: form.action, fields: Object.fromEntries(new FormData(form)) })));
    for (const form of here) found.set(crawl.kind(form.action), form);
  }
  return [...found.values()];
}

async function send(form, cookie, headers, fields) {
  const answer = await fetch(form.action, {
    method: "POST",
    redirect: "manual",
    headers: { cookie, "content-type": "application/x-www-form-urlencoded", ...headers },
    body: new URLSearchParams(fields),
  });
  return answer.status;
}

async function refuseStrangers(all, own, other) {
  const same = { "sec-fetch-site": "same-origin" };
  for (const form of all) {
    const { form_token, ...rest } = form.fields;
    assert.match(form_token ?? "", /^[0-9a-f]{32,}$/, `${form.action} carries a token`);
    const attempts = [
      ["without its token", same, rest],
      ["with the token of another session", same, { ...rest, form_token: other.token }],
      ["from another site", { "sec-fetch-site": "cross-site" }, form.fields],
      ["from another origin", { origin: "https://evil.example" }, form.fields],
    ];
    for (const [what, headers, fields] of attempts) {
      assert.equal(await send(form, own, headers, fields), 403, `${form.action} ${what}`);
    }
  }
}

// No page and no request of an admin works for staff.
async function refuseStaff(staff, server, adminForms, adminPages, starts) {
  const cookie = await cookies(staff.context, server.base);
  const own = await crawl.pages(staff.page, server.base, starts);
  const seen = own.map(crawl.kind);
  const forAdmins = adminPages.filter((url) => !seen.includes(crawl.kind(url)) && crawl.kind(url).indexOf(" ") < 0);
  assert.ok(forAdmins.some((url) => url.endsWith("/admin/settings")), forAdmins.join(" "));
  for (const url of forAdmins) {
    const answer = await fetch(url, { headers: { cookie }, redirect: "manual" });
    assert.ok([403, 404].includes(answer.status), `${url} answers staff with ${answer.status}`);
  }
  await staff.page.goto(`${server.base}/admin/leads`);
  const token = await staff.page.locator("input[name=form_token]").first().inputValue();
  const ownForms = (await forms(staff.page, own)).map((form) => crawl.kind(form.action));
  const onlyAdmins = adminForms.filter((form) => !ownForms.includes(crawl.kind(form.action)));
  assert.ok(onlyAdmins.some((form) => form.action.includes("/export")), "the export is an admin's");
  for (const form of onlyAdmins) {
    const status = await send(form, cookie, { "sec-fetch-site": "same-origin" }, { ...form.fields, form_token: token });
    assert.ok([403, 404].includes(status), `${form.action} answers staff with ${status}`);
  }
}

module.exports = async function walk(browser, binary, screenshots) {
  const server = await startServer(binary, SETTINGS);
  try {
    await fill(server, "+91981234560");
    const plain = await aDay(browser, server, { javaScriptEnabled: false, name: "plain", start: "+91981234560", interest: INTERESTS[0], leads: 6 });
    await signOut(plain.page, server);
    await plain.context.close();
    await fill(server, "+91981234570");
    const admin = await aDay(browser, server, { javaScriptEnabled: true, name: "boss", start: "+91981234570", interest: INTERESTS[1], leads: 12 });
    const staff = await hireStaff(browser, server, admin.page, "helper");

    const joined = await joinTwoAccounts(server, "twice", "+919812345705");
    const starts = [...STARTS, `/admin/people/${joined}`];
    const urls = await crawl.pages(admin.page, server.base, starts);
    assert.ok(urls.some((url) => url.includes("/unmerge/")), "the page of the person leads to the undo");
    const wrong = [];
    await compareTwoAccounts(admin.page, server, "Priya", "twice");
    wrong.push(...(await crawl.look(admin.page, "people_merge_compare", screenshots)));
    for (const url of urls) {
      await admin.page.goto(url);
      wrong.push(...(await crawl.look(admin.page, crawl.fileName(url), screenshots)));
    }
    const guest = await (await browser.newContext()).newPage();
    for (const path of ["/admin/sign-in", "/admin/enroll/none"]) {
      await guest.goto(`${server.base}${path}`);
      wrong.push(...(await crawl.look(guest, crawl.fileName(guest.url()), screenshots)));
    }
    assert.deepEqual(wrong, [], wrong.join("\n"));

    const all = await forms(admin.page, urls);
    await admin.page.goto(`${server.base}/admin`);
    const other = { token: await staff.page.locator("input[name=form_token]").first().inputValue() };
    await refuseStrangers(all, await cookies(admin.context, server.base), other);
    await refuseStaff(staff, server, all, urls, starts);
    console.log(`${urls.length} kinds of pages, ${all.length} kinds of forms`);
    return urls.length;
  } finally {
    await server.stop();
  }
};
