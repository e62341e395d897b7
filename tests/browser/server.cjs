// What the walks share: a server in a new folder, a browser, and the watch for what goes wrong in a page.
"use strict";

const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { chromium } = require("playwright-core");

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// Starts the program with these settings. `run` runs one of its commands in the same folder, with the same settings; `restart` does
// something while the server is stopped.
async function startServer(binary, settings) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "loopin-auth-browser-"));
  const base = `http://127.0.0.1:${await freePort()}`;
  const env = { PATH: process.env.PATH, BIND_ADDR: base.slice("http://".length), ...settings };
  const run = (args, more = {}) =>
    execFileSync(binary, args, { cwd: folder, env: { ...env, ...more }, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const start = async () => {
    const child = spawn(binary, [], { cwd: folder, env, stdio: ["ignore", "ignore", "inherit"] });
    for (let tries = 0; tries < 100; tries += 1) {
      const answer = await fetch(`${base}/api/health/ready`).catch(() => null);
      if (answer?.ok) return child;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the server did not start");
  };
  let child = await start();
  const restart = async (between) => {
    await end(child);
    await between();
    child = await start();
  };
  const stop = async () => {
    await end(child);
    fs.rmSync(folder, { recursive: true, force: true });
  };
  return { base, folder, run, restart, stop };
}

async function end(child) {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

function launch() {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// Collects errors of a page, and requests to other hosts. `expected` are words of console lines that the walk causes on purpose.
function watch(page, base, expected) {
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`error on the page: ${error.message}`));
  page.on("console", (line) => {
    const isExpected = expected.some((words) => line.text().includes(words));
    if (line.type() === "error" && !isExpected) wrong.push(`console: ${line.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("data:")) wrong.push(`another host was asked: ${url}`);
  });
  return wrong;
}

module.exports = { startServer, launch, watch };
