// Passes the messages of loopin-auth on to AWS End User Messaging SMS, and its delivery reports back. Needs Node.js 20.
//
//     RELAY_SECRET=whsec_... AUTH_URL=https://auth.example.com AWS_REGION=ap-south-1 AWS_SENDER=... \
//         AWS_CONFIGURATION_SET=... SNS_TOPIC_ARN=... PORT=8080 node aws_relay.mjs
//
// POST /send takes messages, POST /status the notifications of the SNS topic. AWS's credentials are found as its SDK does.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { promisify } from "node:util";

import { PinpointSMSVoiceV2Client, SendTextMessageCommand } from "@aws-sdk/client-pinpoint-sms-voice-v2";
import MessageValidator from "sns-validator";
import { Webhook } from "standardwebhooks";

const words = (text) => (text ?? "").split(/\s+/).filter(Boolean);

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be set`);
  return value;
}

// Two while one replaces the other, separated by a space: the value of SMS_WEBHOOK_SECRET.
const WEBHOOKS = words(setting("RELAY_SECRET")).map((secret) => new Webhook(secret));
const STATUS_URL = `${setting("AUTH_URL")}/api/webhook/status`;
const SENDER = setting("AWS_SENDER");
const CONFIGURATION_SET = setting("AWS_CONFIGURATION_SET");
const TOPIC = setting("SNS_TOPIC_ARN");

const MOST_BYTES = 256 * 1024;
// Longer than a signed request is accepted, which is five minutes before and after its time.
const REMEMBERED_MS = 15 * 60 * 1000;

// One try within six seconds, because loopin-auth waits for ten and tries again itself.
const sms = new PinpointSMSVoiceV2Client({
  maxAttempts: 1,
  requestHandler: { connectionTimeout: 2000, requestTimeout: 6000, throwOnRequestTimeout: true },
});
const notifications = new MessageValidator();
const validate = promisify(notifications.validate.bind(notifications));

/** What AWS's refusals say about the number. */
const REASONS = {
  DESTINATION_PHONE_NUMBER_OPTED_OUT: "opted_out",
  DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE: "blocked",
  DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION: "region_not_allowed",
  DESTINATION_COUNTRY_BLOCKED: "region_not_allowed",
};

/** What AWS's events are in a report. The others say nothing. */
const EVENTS = {
  TEXT_QUEUED: { status: "queued" },
  TEXT_SENT: { status: "sent" },
  TEXT_SUCCESSFUL: { status: "sent" },
  TEXT_DELIVERED: { status: "delivered" },
  TEXT_INVALID: { status: "undelivered", reason: "invalid" },
  TEXT_UNREACHABLE: { status: "undelivered", reason: "invalid" },
  TEXT_BLOCKED: { status: "undelivered", reason: "blocked" },
  TEXT_CARRIER_BLOCKED: { status: "undelivered", reason: "blocked" },
  TEXT_PROTECT_BLOCKED: { status: "undelivered", reason: "blocked" },
  TEXT_SPAM: { status: "undelivered", reason: "blocked" },
  TEXT_CARRIER_UNREACHABLE: { status: "undelivered" },
  TEXT_INVALID_MESSAGE: { status: "undelivered" },
  TEXT_TTL_EXPIRED: { status: "undelivered" },
};

/** The message, if one of our secrets signed it within five minutes of now. */
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

/** The answers of the last minutes by `webhook-id`, the oldest first. Several relays need one store for all, such as Redis. */
const answers = new Map();

/** Sends a message once: a repeated request gets the same answer. */
function once(id, send) {
  const now = Date.now();
  for (const [old, { at }] of answers) {
    if (now - at < REMEMBERED_MS) break;
    answers.delete(old);
  }
  const known = answers.get(id);
  if (known) return known.answer;
  const answer = send().then((made) => {
    // Nothing was sent, so the next request with this id may try again.
    if (made.status === 429) answers.delete(id);
    return made;
  });
  answers.set(id, { at: now, answer });
  return answer;
}

async function send(id, message) {
  if (message.channel !== "sms") return refuse(422, "this relay sends SMS only");
  const { dlt } = message;
  const registration = dlt && { IN_ENTITY_ID: dlt.entity_id, IN_TEMPLATE_ID: dlt.template_id };
  try {
    const request = new SendTextMessageCommand({
      DestinationPhoneNumber: message.phone,
      OriginationIdentity: SENDER,
      ConfigurationSetName: CONFIGURATION_SET,
      MessageType: "TRANSACTIONAL",
      MessageBody: message.text,
      TimeToLive: message.ttl,
      // It comes back in every event.
      Context: { webhook_id: id },
      ...(registration && { DestinationCountryParameters: registration }),
    });
    const { MessageId } = await sms.send(request);
    console.log(`${id} is ${MessageId} at AWS`);
    return { status: 202, content: {} };
  } catch (error) {
    return refusal(id, error);
  }
}

function refusal(id, error) {
  // The message of an error can contain the number.
  console.error(`${id} failed: ${error.name} ${error.Reason ?? error.code ?? ""}`);
  const status = error.$metadata?.httpStatusCode;
  const isThrottled = error.name === "ThrottlingException" || status === 429;
  if (isThrottled || ["ECONNREFUSED", "ENOTFOUND"].includes(error.code)) return refuse(429, "not sent: try again");
  // It may have been sent.
  if (!status || status >= 500) return refuse(502, "no answer of AWS");
  return refuse(422, `AWS refused it: ${error.name}`, REASONS[error.Reason]);
}

function refuse(status, message, reason) {
  return { status, content: { error: { http_code: status, message, ...(reason && { reason }) } } };
}

/** The notification, if SNS signed it and it is of our topic: SNS signs those of everyone's topics. */
async function genuine(body) {
  try {
    const notification = await validate(JSON.parse(body));
    return notification.TopicArn === TOPIC ? notification : null;
  } catch {
    return null;
  }
}

/** Takes a notification of the topic. SNS tries again after a 5xx. */
async function takeNotification(body) {
  const notification = await genuine(body);
  if (notification === null) return { status: 403, content: { error: "not from our topic" } };
  if (notification.Type === "SubscriptionConfirmation") {
    const confirmed = await fetch(notification.SubscribeURL, { signal: AbortSignal.timeout(5000) });
    return { status: confirmed.ok ? 200 : 502, content: {} };
  }
  const event = notification.Type === "Notification" ? JSON.parse(notification.Message) : {};
  const id = event.context?.webhook_id;
  const outcome = EVENTS[event.eventType];
  if (id && outcome && !(await report({ id, ...outcome }))) return { status: 502, content: {} };
  return { status: 200, content: {} };
}

/** Whether loopin-auth took the report. */
async function report(content) {
  const [id, at, body] = [`report_${randomUUID()}`, new Date(), JSON.stringify(content)];
  const answer = await fetch(STATUS_URL, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
      "webhook-signature": WEBHOOKS[0].sign(id, at, body),
    },
    body,
    redirect: "error",
    signal: AbortSignal.timeout(5000),
  });
  return answer.ok;
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

async function answer(request) {
  if (request.method === "GET" && request.url === "/") return { status: 200, content: { status: "healthy" } };
  if (request.method !== "POST") return { status: 405, content: {} };
  const body = await read(request);
  if (body === null) return { status: 413, content: {} };
  if (request.url === "/status") return takeNotification(body);
  if (request.url !== "/send") return { status: 404, content: {} };
  const message = verified(request.headers, body);
  if (message === null) return refuse(401, "no valid signature");
  const id = request.headers["webhook-id"];
  return once(id, () => send(id, message));
}

createServer(async (request, response) => {
  const { status, content } = await answer(request).catch((error) => {
    console.error(error.name);
    return { status: 500, content: {} };
  });
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
