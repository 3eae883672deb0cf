// What a rental can be asked for besides: a set-up and a teardown, a volume, a batch as a stream, a command that is given up.
const { PROGRAMS, assert, order, withNetwork } = require("./local_node.cjs");

const SERVICE = `${PROGRAMS}/simple_service.py`;

/** What a batch says as a stream, until it ends or fails. */
async function streamed(batch) {
  const results = await batch.endStream();
  const seen = [];
  return new Promise((resolve) => {
    results.subscribe({
      next: (one) => seen.push(`${one.index} ${one.result}`),
      error: (error) => resolve([...seen, error.message.match(/exited with code \d+/)?.[0] ?? error.message]),
      complete: () => resolve(seen),
    });
  });
}

withNetwork(async (golem) => {
  const hooks = [];
  const add = (name, value) => async (exe) => {
    const added = await exe.run(SERVICE, ["--add", `${value}`]);
    hooks.push(`${name} ${added.result}`);
  };
  const volumes = { extra: { path: "/golem/extra", sizeGib: 1 } };
  const rental = await golem.oneOf({ order, setup: add("setup", 5), teardown: add("teardown", 6), volumes });
  const exe = await rental.getExeUnit();
  assert.equal((await exe.run(SERVICE, ["--stats"])).getOutputAsJson().mean, 5);

  await exe.uploadJson({ a: 1 }, "/golem/extra/x.json");
  assert.deepEqual((await exe.downloadJson("/golem/extra/x.json")).data, { a: 1 });

  const batch = exe.beginBatch().run(SERVICE, ["--help"]).run(SERVICE, ["--nonsense"]).run(SERVICE, ["--help"]);
  console.log("stream:", (await streamed(batch)).join(", "));

  await rental.stopAndFinalize();
  console.log(hooks.join(", "));

  // It would observe for ever; and is given up once it has begun. The provider goes on until the end of the rental.
  const second = await golem.oneOf({ order });
  const endless = await second.getExeUnit();
  const caller = new AbortController();
  golem.activity.events.once("scriptExecuted", () => caller.abort());
  const observes = endless.run(`${PROGRAMS}/simulate_observations.py`, [], { signalOrTimeout: caller.signal });
  const error = await observes.then(() => assert.fail("it ends"), (error) => error);
  console.log("given up:", error.constructor.name);
  await second.stopAndFinalize();
});
