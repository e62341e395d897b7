// A shop that confirms an order by a code to the customer's phone. Needs Node.js 20 and no packages.
//
//     AUTH_URL=http://127.0.0.1:8000 API_KEY=lak_... PORT=8080 node shop.mjs

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const { AUTH_URL, API_KEY, PORT = "8080" } = process.env;
const MOST_BYTES = 64 * 1024;
const UUID = /^[0-9a-f-]{36}$/;

if (!AUTH_URL || !API_KEY) throw new Error("AUTH_URL and API_KEY must be set");

/** A real shop has a database. */
const orders = new Map();

/** Asks loopin-auth. The status and the body of its answer; 503 when there is none. */
async function ask(path, body) {
  try {
    const answer = await fetch(`${AUTH_URL}/api/verifications${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
    return { status: answer.status, body: await answer.json() };
  } catch {
    return { status: 503, body: {} };
  }
}

/** What a customer may know. Faults of the shop, such as a wrong key, are no business of theirs. */
function refusal({ status, body }) {
  const { code, attempts_remaining, retry_after, fields } = body.error ?? {};
  if (![400, 422, 429, 503].includes(status)) {
    console.error("loopin-auth refuses the shop:", status, code);
    return { status: 503, content: { error: "unavailable" } };
  }
  return { status, content: { error: code ?? "unavailable", attempts_remaining, retry_after, fields } };
}

/** A new order: nothing is shipped before the code came back. */
async function order({ phone_number, item }, address) {
  const id = randomUUID();
  // The reference ties the code to this order. Behind a proxy, take the address that the proxy names.
  const asked = await ask("", { phone_number, reference: `order ${id}`, end_user_address: address });
  if (asked.status !== 201) return refusal(asked);
  orders.set(id, { item, verification: asked.body.id, is_confirmed: false });
  return { status: 201, content: { order: id, resend_in: asked.body.resend_in, expires_at: asked.body.expires_at } };
}

/** The code that the customer entered. */
async function confirm(id, { otp_code }, address) {
  const found = orders.get(id);
  if (!found) return { status: 404, content: { error: "no such order" } };
  if (!found.is_confirmed) {
    const checked = await ask(`/${found.verification}/check`, { otp_code, end_user_address: address });
    if (checked.status !== 200 || checked.body.status !== "approved") return refusal(checked);
    found.is_confirmed = true;
  }
  return { status: 200, content: { order: id, status: "confirmed" } };
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MOST_BYTES) return null;
    chunks.push(chunk);
  }
  try {
    const body = JSON.parse(Buffer.concat(chunks).toString());
    return typeof body === "object" && !Array.isArray(body) ? body : null;
  } catch {
    return null;
  }
}

async function answer(request) {
  const [, first, id, last] = new URL(request.url, "http://shop").pathname.split("/");
  if (request.method === "GET" && first === "health") return { status: 200, content: { status: "healthy" } };
  if (request.method !== "POST" || first !== "orders") return { status: 404, content: { error: "not found" } };
  const body = await read(request);
  if (body === null) return { status: 400, content: { error: "not a JSON object" } };
  if (id === undefined) return order(body, request.socket.remoteAddress);
  if (last === "confirm" && UUID.test(id)) return confirm(id, body, request.socket.remoteAddress);
  return { status: 404, content: { error: "not found" } };
}

createServer(async (request, response) => {
  let result;
  try {
    result = await answer(request);
  } catch {
    result = { status: 500, content: { error: "internal" } };
  }
  response.writeHead(result.status, { "content-type": "application/json" }).end(JSON.stringify(result.content));
}).listen(Number(PORT), "127.0.0.1");
