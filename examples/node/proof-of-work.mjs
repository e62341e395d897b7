// Answers a proof of work of loopin-auth: docs/BOT_PROOF.md says when one is required. Runs in browsers and React Native, too.
//
// usage: node proof-of-work.mjs <challenge> <difficulty>
import { sha256 } from "@noble/hashes/sha2.js";

export async function answer(challenge, difficulty) {
  const utf8 = new TextEncoder();
  // What all attempts begin with is hashed once.
  const start = sha256.create().update(utf8.encode(`${challenge}.`));
  for (let number = 0; ; number += 1) {
    const hash = start.clone().update(utf8.encode(String(number))).digest();
    // The difficulty is 24 at most, so the first four bytes decide.
    if (Math.clz32(new DataView(hash.buffer).getUint32(hash.byteOffset)) >= difficulty) return `${challenge}.${number}`;
    // A page has to stay alive meanwhile.
    if (number % 4096 === 4095) await new Promise((next) => setTimeout(next));
  }
}

if (globalThis.process?.argv[3]) console.log(await answer(process.argv[2], Number(process.argv[3])));
