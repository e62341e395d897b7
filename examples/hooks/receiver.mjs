// Answers the hook before sending: whether loopin-auth may send a code. Needs Node.js 20 and no packages.
//
//     HOOK_SECRET=whsec_... PORT=8080 node receiver.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const words = (text) => (text ?? "").split(/\s+/).filter(Boolean);

// Two while one replaces the other, separated by a space.
const SECRETS = words(process.env.HOOK_SECRET).map((text) => Buffer.from(text.replace(/^whsec_/, ""), "base64"));
const DENIED = new Set(words(process.env.DENIED_PHONES));

const TOLERANCE_SECONDS = 300;
const MOST_BYTES = 64 * 1024;

if (SECRETS.length === 0) throw new Error("HOOK_SECRET must be set");

/** Whether one signature is by one of our secrets, and the time is now. */
function isSigned(headers, body) {
  const { "webhook-id": id = "", "webhook-timestamp": timestamp = "", "webhook-signature": signature } = headers;
  if (!/^\d+$/.test(timestamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const given = words(signature).map((text) => Buffer.from(text));
  return SECRETS.some((secret) => {
    const mac = createHmac("sha256", secret).update(`${id}.${timestamp}.`).update(body).digest("base64");
    const expected = Buffer.from(`v1,${mac}`);
    return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
}

/** Put your own rule here: ask your risk or SIM-swap provider. All of it has one second. */
function decide(question) {
  return DENIED.has(question.phone_number) ? "deny" : "allow";
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MOST_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response, status, content) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
}

createServer(async (request, response) => {
  try {
    if (request.method === "GET") return answer(response, 200, { status: "healthy" });
    const body = await read(request);
    if (body === null) return answer(response, 413, { error: "too long" });
    // The signature is of these bytes: parse them only after it was checked.
    if (!isSigned(request.headers, body)) return answer(response, 401, { error: "no valid signature" });
    answer(response, 200, { decision: decide(JSON.parse(body)) });
  } catch {
    if (!response.headersSent) answer(response, 500, { error: "internal" });
  }
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
