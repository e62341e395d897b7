// Gives the relay the certificate of the tests where it asks for that of SNS: --import of this file comes before the relay.
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import { Readable } from "node:stream";

const { SNS_CERTIFICATE, SNS_CERTIFICATE_URL } = process.env;

https.get = (url, done) => {
  if (url !== SNS_CERTIFICATE_URL) throw new Error(`${url} is not to be fetched`);
  const answer = Object.assign(Readable.from([readFileSync(SNS_CERTIFICATE)]), { statusCode: 200 });
  queueMicrotask(() => done(answer));
  return new EventEmitter();
};
