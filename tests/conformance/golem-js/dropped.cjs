// A provider that drops the agreement while a command runs: the command fails, it is told who did it, and the bill is paid.
const { PROGRAMS, assert, order, withNetwork } = require("./local_node.cjs");

withNetwork(async (golem) => {
  const terminated = new Promise((resolve) => golem.market.events.once("agreementTerminated", resolve));
  const rental = await golem.oneOf({ order });
  const exe = await rental.getExeUnit();
  // It would observe for ever. Without its result the library would ask for minutes, unless it is told to give up.
  const caller = new AbortController();
  const observed = exe.run(`${PROGRAMS}/simulate_observations.py`, [], { signalOrTimeout: caller.signal });
  const failed = observed.then(
    (observed) => assert.equal(observed.result, "Error"),
    (error) => assert.equal(error.constructor.name, "GolemAbortError"),
  );
  const { terminatedBy, reason, agreement } = await terminated;
  assert.equal(agreement.id, rental.agreement.id);
  console.log(`ended by ${terminatedBy}: ${reason}`);
  caller.abort();
  await failed;
  await rental.stopAndFinalize();
  assert.equal(await rental.fetchAgreementState(), "Terminated");
});
