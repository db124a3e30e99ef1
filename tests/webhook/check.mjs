// Parses and verifies what the webhook sink sends with the CloudEvents SDK and the Standard Webhooks
// library of JavaScript: check.mjs PROGRAM. The hub is in EVENTHUB_CONNECTION_STRING.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { HTTP } from "cloudevents";
import { Webhook } from "standardwebhooks";

const program = process.argv[2];
const patience = 60_000; // milliseconds, for anything that must happen
const count = 120;
const secret = () => `whsec_${randomBytes(32).toString("base64")}`;
const [fresh, old, other] = [secret(), secret(), secret()];
const folder = mkdtempSync(join(tmpdir(), "webhook-"));

async function check(name, probe) {
  try {
    await probe();
    console.log(`ok javascript: ${name}`);
  } catch (error) {
    console.log(`FAIL javascript: ${name}: ${error.name}: ${String(error.message).slice(0, 500)}`);
  }
}

/** A web server that accepts everything, and keeps it by its path; bodies inflated, as servers do. */
class Receiver {
  requests = {};

  async start() {
    this.server = createServer((request, response) => {
      const pieces = [];
      request.on("data", (piece) => pieces.push(piece));
      request.on("end", () => {
        const raw = Buffer.concat(pieces);
        const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
        (this.requests[request.url] ??= []).push({ headers: request.headers, body });
        response.writeHead(204).end();
      });
    });
    await new Promise((listening) => this.server.listen(0, "127.0.0.1", listening));
    this.port = this.server.address().port;
  }

  async take(path, isEnough) {
    const end = Date.now() + patience;
    while (!isEnough(this.requests[path] ?? [])) {
      assert(Date.now() < end, `timed out: requests for ${path}`);
      await sleep(20);
    }
    return this.requests[path];
  }
}

/** What `listen` prints of the events, by the names that CloudEvents have. */
function contexts() {
  const from = ["listen", "--from", "earliest", "--format", "json", "--events", String(count)];
  const printed = execFileSync(program, from, { encoding: "utf8", maxBuffer: 1 << 30 });
  return printed.trimEnd().split("\n").map((line) => JSON.parse(line));
}

function sink(name, port, settings) {
  return `[[sink]]\nname = "${name}"\ntype = "webhook"\nurl = "http://127.0.0.1:${port}/${name}"\n${settings}\n`;
}

/** Runs the daemon with these sinks for as long as `use` takes. */
async function daemon(sinks, use) {
  const hub = `[[hub]]\nconnection_string = "${process.env.EVENTHUB_CONNECTION_STRING}"\n`;
  const file = join(folder, "daemon.toml");
  writeFileSync(file, hub + sinks);
  const options = { stdio: ["ignore", "ignore", "inherit"] };
  const running = spawn(program, ["run", "--config", file, "--log", "error"], options);
  const ended = new Promise((resolve) => running.once("exit", resolve));
  try {
    return await use();
  } finally {
    running.kill("SIGTERM");
    await ended;
  }
}

/** The events of requests; what the SDK would make up where it is missing is asked of the request itself. */
function parse({ headers, body }) {
  const found = HTTP.toEvent({ headers, body: body.toString() });
  return Array.isArray(found) ? found : [found];
}

function checkEvents(mode, requests, truth) {
  const events = requests.flatMap(parse);
  return check(`cloudevents ${mode}`, () => {
    assert.equal(events.length, count);
    assert(events.every((event) => event.validate()));
    assert.equal(new Set(events.map((event) => `${event.source} ${event.id}`)).size, count);
    const byText = (left, right) => (left < right ? -1 : 1);
    const data = events.map((event) => JSON.stringify(event.data)).sort(byText);
    const printed = truth.map(({ context }) => JSON.stringify(context)).sort(byText);
    assert.deepEqual(data, printed);
  });
}

async function checkRaw({ binary, structured, batched }) {
  const required = ["specversion", "id", "source", "type", "time"];
  await check("binary: the attributes are in the headers", () => {
    for (const { headers } of binary) {
      assert(required.every((name) => headers[`ce-${name}`]), JSON.stringify(headers));
      assert.equal(headers["content-type"], "application/json");
    }
  });
  await check("structured: the attributes are in the body", () => {
    for (const { headers, body } of structured) {
      const event = JSON.parse(body);
      assert(required.every((name) => event[name]));
      assert.match(headers["content-type"], /^application\/cloudevents\+json(;|$)/);
    }
  });
  await check("batched: the body is an array of several events", () => {
    for (const { headers, body } of batched) {
      const events = JSON.parse(body);
      assert(events.length <= 7 && events.every((event) => required.every((name) => event[name])));
      assert.match(headers["content-type"], /^application\/cloudevents-batch\+json(;|$)/);
    }
    assert(batched.some(({ body }) => JSON.parse(body).length > 1));
  });
}

async function checkSignatures(name, requests) {
  await check(`standardwebhooks ${name}: both secrets verify`, () => {
    for (const { headers, body } of requests) {
      for (const known of [fresh, old]) {
        assert.deepEqual(new Webhook(known).verify(body, headers), JSON.parse(body));
      }
    }
  });
  await check(`standardwebhooks ${name}: what was changed is not verified`, () => {
    for (const { headers, body } of requests) {
      const refuses = (secret, body, changed) =>
        assert.throws(() => new Webhook(secret).verify(body, { ...headers, ...changed }));
      refuses(other, body, {});
      refuses(fresh, Buffer.concat([body, Buffer.from(" ")]), {});
      refuses(fresh, body, { "webhook-id": "x" });
      refuses(fresh, body, { "webhook-timestamp": String(headers["webhook-timestamp"] - 1) });
    }
  });
  await check(`standardwebhooks ${name}: an id for each event`, () => {
    const ids = requests.map(({ headers }) => headers["webhook-id"]);
    assert.equal(new Set(ids).size, count);
    assert.deepEqual(ids, requests.map(({ headers }) => headers["idempotency-key"]));
  });
}

execFileSync(program, ["simulate", "--count", String(count), "--seed", "4"]);
const truth = contexts();
const receiver = new Receiver();
await receiver.start();
const signature = `signature = { secret = "${fresh}", previous_secret = "${old}" }`;
const sinks = {
  binary: 'mode = "cloudevents-binary"',
  structured: 'mode = "cloudevents-structured"',
  batched: 'mode = "cloudevents-batched"\nbatch_events = 7',
  signed: signature,
  gzip: `gzip = true\n${signature}`,
};
const tables = Object.entries(sinks).map(([name, more]) => sink(name, receiver.port, more));
const requests = await daemon(tables.join(""), async () => {
  const isAll = (found) => found.length >= count;
  const isAllOfBatches = (found) => found.flatMap(parse).length >= count;
  const taken = {};
  for (const name of Object.keys(sinks)) {
    taken[name] = await receiver.take(`/${name}`, name === "batched" ? isAllOfBatches : isAll);
  }
  return taken;
});
for (const mode of ["binary", "structured", "batched"]) {
  await checkEvents(mode, requests[mode], truth);
}
await checkRaw(requests);
await checkSignatures("plain", requests.signed);
await checkSignatures("gzip", requests.gzip);
receiver.server.close();
receiver.server.closeAllConnections();
rmSync(folder, { recursive: true });
