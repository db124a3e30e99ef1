// Checks of the embedded event hub with Microsoft's @azure/event-hubs, unmodified. The hub is in
// EVENTHUB_CONNECTION_STRING.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
  latestEventPosition,
} from "@azure/event-hubs";

const connection = process.env.EVENTHUB_CONNECTION_STRING;
const hub = /EntityPath=([^;]*)/.exec(connection)[1];
const patience = 15_000; // milliseconds, for anything that must happen
const options = { retryOptions: { maxRetries: 1, retryDelayInMs: 100, timeoutInMs: 10_000 } };
let failed = 0;

async function check(name, probe) {
  const late = sleep(2 * patience, undefined, { ref: false }).then(() => {
    throw new Error("timed out");
  });
  try {
    await Promise.race([probe(), late]);
    console.log(`ok javascript: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL javascript: ${name}: ${error.name}: ${String(error.message).slice(0, 300)}`);
  }
}

async function waitFor(condition, what) {
  const end = Date.now() + patience;
  while (!condition()) {
    assert(Date.now() < end, `timed out: ${what}`);
    await sleep(20);
  }
}

/** Receives from one partition until it is stopped. */
class Receiver {
  events = [];
  errors = [];

  constructor(partition, startPosition, more = {}, string = connection) {
    this.client = new EventHubConsumerClient("$Default", string, options);
    const handlers = {
      processEvents: async (events, context) => {
        this.events.push(...events);
        this.last = context.lastEnqueuedEventProperties ?? this.last;
      },
      processError: async (error) => void this.errors.push(error),
    };
    const settings = { startPosition, maxWaitTimeInSeconds: 1, maxBatchSize: 100, ...more };
    this.subscription = this.client.subscribe(partition, handlers, settings);
  }

  async take(count) {
    await waitFor(() => this.events.length >= count || this.errors.length, `${count} events`);
    assert.equal(this.errors.length, 0, this.errors[0]?.message);
    return this.events;
  }

  async fails(text) {
    await waitFor(() => this.errors.length, "an error");
    assert(this.errors[0].message.includes(text), this.errors[0].message);
  }

  async stop() {
    await this.subscription.close();
    await this.client.close();
  }
}

async function receive(partition, position, count) {
  const receiver = new Receiver(partition, position);
  try {
    return [...(await receiver.take(count))];
  } finally {
    await receiver.stop();
  }
}

const numbers = async (...position) => (await receive(...position)).map((event) => event.sequenceNumber);
const producer = new EventHubProducerClient(connection, options);
const endOf = async (partition) =>
  (await producer.getPartitionProperties(partition)).lastEnqueuedSequenceNumber;
const after = (sequenceNumber) => ({ sequenceNumber });
const send = (count, where) =>
  producer.sendBatch(Array.from({ length: count }, (_, number) => ({ body: { number } })), where);

await check("hub properties", async () => {
  const properties = await producer.getEventHubProperties();
  assert.equal(properties.name, hub);
  assert.deepEqual(properties.partitionIds, ["0", "1", "2", "3"]);
  assert(properties.createdOn.getFullYear() > 2000);
});

await check("partition properties", async () => {
  const before = await endOf("3");
  await send(3, { partitionId: "3" });
  const properties = await producer.getPartitionProperties("3");
  assert.equal(properties.lastEnqueuedSequenceNumber, before + 3);
  assert.equal(properties.isEmpty, false);
});

await check("send a batch without a place", async () => {
  const batch = await producer.createBatch();
  assert.equal(batch.maxSizeInBytes, 1_048_576);
  for (let number = 0; number < 5; number++) {
    assert(batch.tryAdd({ body: { number } }));
  }
  const ends = async () => (await Promise.all(["0", "1", "2", "3"].map(endOf))).reduce((a, b) => a + b);
  const before = await ends();
  await producer.sendBatch(batch);
  assert.equal(await ends(), before + 5);
});

await check("send a batch to a partition", async () => {
  const before = await endOf("1");
  await send(100, { partitionId: "1" });
  assert.equal(await endOf("1"), before + 100);
});

await check("send a batch with a key", async () => {
  // key-2 hashes to -12361: the truncated remainder by 4 is 1.
  const before = await endOf("1");
  await send(2, { partitionKey: "key-2" });
  const events = await receive("1", after(before), 2);
  assert.equal(events[0].partitionKey, "key-2");
});

await check("send a single event", async () => {
  const before = await endOf("1");
  const properties = { RequestName: "Create", n: 7 };
  await producer.sendBatch([{ body: "single", properties, contentType: "application/json" }], {
    partitionId: "1",
  });
  const [event] = await receive("1", after(before), 1);
  assert.equal(event.body, "single");
  assert.deepEqual(event.properties, properties);
  assert.equal(event.contentType, "application/json");
});

await check("send and receive 900 KB events", async () => {
  const before = await endOf("2");
  for (let number = 0; number < 3; number++) {
    await producer.sendBatch([{ body: Buffer.alloc(900_000, "x") }], { partitionId: "2" });
  }
  const events = await receive("2", after(before), 3);
  assert.deepEqual(events.map((event) => event.body.length), [900_000, 900_000, 900_000]);
});

const first = (await endOf("0")) + 1;
await send(5, { partitionId: "0" });
await sleep(50);
const enqueuedOn = Date.now();
await sleep(50);
await send(5, { partitionId: "0" });
const all = await receive("0", earliestEventPosition, first + 10);
const expected = Array.from({ length: 10 }, (_, number) => first + number);
const { offset } = all[first + 3];

for (const [name, position, from] of [
  ["after an offset", { offset }, 4],
  ["from an offset", { offset, isInclusive: true }, 3],
  ["after a sequence number", { sequenceNumber: first + 3 }, 4],
  ["from a sequence number", { sequenceNumber: first + 3, isInclusive: true }, 3],
  ["from an enqueued time", { enqueuedOn }, 5],
]) {
  await check(`receive ${name}`, async () => {
    assert.deepEqual(await numbers("0", position, 10 - from), expected.slice(from));
  });
}

await check("receive from earliest", async () => {
  assert.deepEqual(all.map((event) => event.sequenceNumber), [...Array(first + 10).keys()]);
});

await check("receive from latest", async () => {
  const end = await endOf("0");
  const receiver = new Receiver("0", latestEventPosition);
  for (let turn = 0; turn < 50 && receiver.events.length === 0; turn++) {
    await send(1, { partitionId: "0" });
    await sleep(100);
  }
  const [event] = await receiver.take(1);
  assert(event.sequenceNumber > end);
  await receiver.stop();
});

await check("a position above the end is refused", async () => {
  const receiver = new Receiver("0", { offset: "9223372036854775807", isInclusive: true });
  await receiver.fails("The supplied offset '9223372036854775807' is invalid");
  await receiver.stop();
});

await check("track the last enqueued event", async () => {
  const receiver = new Receiver("1", earliestEventPosition, { trackLastEnqueuedEventProperties: true });
  await receiver.take(1);
  await waitFor(() => receiver.last?.sequenceNumber !== undefined, "the last event");
  assert.equal(receiver.last.sequenceNumber, await endOf("1"));
  await receiver.stop();
});

await check("a higher owner level steals", async () => {
  const old = new Receiver("1", earliestEventPosition, { ownerLevel: 0 });
  await old.take(1);
  const higher = new Receiver("1", earliestEventPosition, { ownerLevel: 1 });
  await higher.take(1);
  await old.fails("New receiver");
  const lower = new Receiver("1", earliestEventPosition, { ownerLevel: 0 });
  await lower.fails("higher epoch");
  await Promise.all([old.stop(), higher.stop(), lower.stop()]);
});

await check("the sixth receiver is refused", async () => {
  const receivers = Array.from({ length: 5 }, () => new Receiver("2", earliestEventPosition));
  await Promise.all(receivers.map((receiver) => receiver.take(1)));
  const sixth = new Receiver("2", earliestEventPosition);
  await sixth.fails("Exceeded the maximum number of allowed receivers");
  await Promise.all([...receivers, sixth].map((receiver) => receiver.stop()));
});

await check("a wrong key is refused", async () => {
  const wrong = connection.replace(/SharedAccessKey=[^;]*/, "SharedAccessKey=wrong");
  const client = new EventHubProducerClient(wrong, options);
  await assert.rejects(client.getEventHubProperties(), (error) =>
    (error.errors ?? [error]).every(({ message }) => message.includes("InvalidSignature")),
  );
  await client.close();
});

await check("a missing hub is not found", async () => {
  const missing = connection.replace(`EntityPath=${hub}`, "EntityPath=missing");
  const client = new EventHubProducerClient(missing, options);
  await assert.rejects(client.getEventHubProperties(), { code: "MessagingEntityNotFoundError" });
  await assert.rejects(client.sendBatch([{ body: "x" }]), { code: "MessagingEntityNotFoundError" });
  await client.close();
  const receiver = new Receiver("0", earliestEventPosition, {}, missing);
  await receiver.fails("could not be found");
  await receiver.stop();
});

await producer.close();
// Clients that were refused may keep timers of theirs.
process.exit(failed ? 1 : 0);
