// Takes events of loopin-auth. Needs Node.js 20 and no packages.
//
//     EVENTS_SECRET=whsec_... PORT=8080 node receiver.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const words = (text) => (text ?? "").split(/\s+/).filter(Boolean);

// Two while one replaces the other, separated by a space.
const SECRETS = words(process.env.EVENTS_SECRET).map((text) => Buffer.from(text.replace(/^whsec_/, ""), "base64"));
// The file that events are written to. Not set: standard output.
const OUT = process.env.OUT;

const TOLERANCE_SECONDS = 300;
const MOST_BYTES = 64 * 1024;

// The ids that were taken. Yours belong into a database, and can be removed after four days.
const known = new Set();

if (SECRETS.length === 0) throw new Error("EVENTS_SECRET must be set");

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

/** Put your own work here. An event that throws is sent again. */
function take(id, event) {
  const line = `${JSON.stringify({ id, ...event })}\n`;
  if (OUT) appendFileSync(OUT, line);
  else process.stdout.write(line);
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
    const id = request.headers["webhook-id"];
    // A repetition is answered like the first one.
    if (!known.has(id)) {
      take(id, JSON.parse(body));
      known.add(id);
    }
    answer(response, 200, { status: "taken" });
  } catch {
    if (!response.headersSent) answer(response, 500, { error: "internal" });
  }
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
