// The sign-in flow with the types of openapi-typescript. The compiler checks every path, body and answer.
//
// usage: node walk.js <address of a server in test mode>
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const [, , baseUrl = ""] = process.argv;
const PHONE = "+919812345671";
const client = createClient<paths>({ baseUrl });

async function newestCode(): Promise<string> {
  const answer = await fetch(`${baseUrl}/dev/inbox.json?phone_number=${encodeURIComponent(PHONE)}`);
  const inbox = (await answer.json()) as { messages: { otp_code: string }[] };
  return inbox.messages[0]?.otp_code ?? "";
}

const sent = await client.POST("/api/auth/signup", { body: { phone_number: PHONE, channel: "sms" } });
assert.equal(sent.data?.data.phone_number, PHONE);

const wrong = await client.POST("/api/auth/verify-otp", { body: { phone_number: PHONE, otp_code: "12345678" } });
assert.equal(wrong.error?.error.code, "validation_failed");

const body = { phone_number: PHONE, otp_code: await newestCode() };
const verified = await client.POST("/api/auth/verify-otp", { body });
assert.ok(verified.data);
// Not null: an accepted sign-in has a token.
const token: string = verified.data.token;
const headers = { Authorization: `Bearer ${token}` };

const gender: components["schemas"]["Gender"] = "female";
const completed = await client.POST("/api/auth/complete-profile", {
  headers,
  body: {
    name: "Asha Rao",
    birth_date: "1995-01-01",
    gender,
    event_interests: [1, 2],
    profile_pictures: ["https://example.com/a.jpg"],
  },
});
assert.equal(completed.data?.data.gender, "female");

const profile = await client.GET("/api/auth/profile", { headers });
const shown: components["schemas"]["Gender"] | null | undefined = profile.data?.gender;
assert.equal(shown, "female");

// @ts-expect-error a request to log in names a phone, or a name and its password
const neither = await client.POST("/api/auth/login", { body: {} });
assert.equal(neither.error?.error.code, "malformed_request");

const again = await client.POST("/api/auth/login", { body: { phone_number: PHONE } });
assert.ok(again.data && "data" in again.data);
const logged = await client.POST("/api/auth/verify-login", {
  body: { phone_number: PHONE, otp_code: await newestCode() },
});
assert.equal(logged.data?.data.name, "Asha Rao");

const pair = await client.POST("/api/auth/refresh", { body: { refresh: logged.data.data.refresh_token } });
assert.ok(pair.data?.access);
const ended = await client.POST("/api/auth/logout", { headers });
assert.equal(ended.data?.token, null);
const after = await client.GET("/api/auth/profile", { headers });
assert.equal(after.error?.error.code, "token_revoked");
console.log("TypeScript walk: 1 passed, 0 failed");
