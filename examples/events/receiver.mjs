// Takes events of loopin-auth. Needs Node.js 20, and once: npm install
//
//     EVENTS_SECRET=whsec_... PORT=8080 node receiver.mjs

import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

import { Webhook } from "standardwebhooks";

const words = (text) => (text ?? "").split(/\s+/).filter(Boolean);

// Two while one replaces the other, separated by a space.
const WEBHOOKS = words(process.env.EVENTS_SECRET).map((secret) => new Webhook(secret));
// The file that events are written to. Not set: standard output.
const OUT = process.env.OUT;

const MOST_BYTES = 64 * 1024;

// The ids that were taken. Yours belong into a database, and can be removed after four days.
const known = new Set();

if (WEBHOOKS.length === 0) throw new Error("EVENTS_SECRET must be set");

/** The event, if one of our secrets signed it within five minutes of now. */
function verified(headers, body) {
  for (const webhook of WEBHOOKS) {
    try {
      return webhook.verify(body, headers);
    } catch {
      // The next secret may be the right one.
    }
  }
  return null;
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
  return Buffer.concat(chunks).toString();
}

function answer(response, status, content) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
}

createServer(async (request, response) => {
  try {
    if (request.method === "GET") return answer(response, 200, { status: "healthy" });
    const body = await read(request);
    if (body === null) return answer(response, 413, { error: "too long" });
    const event = verified(request.headers, body);
    if (event === null) return answer(response, 401, { error: "no valid signature" });
    const id = request.headers["webhook-id"];
    // A repetition is answered like the first one.
    if (!known.has(id)) {
      take(id, event);
      known.add(id);
    }
    answer(response, 200, { status: "taken" });
  } catch {
    if (!response.headersSent) answer(response, 500, { error: "internal" });
  }
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
