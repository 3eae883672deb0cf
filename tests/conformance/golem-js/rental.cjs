// One rental: commands that succeed and fail, output as it comes, files of all kinds, a batch; and what is told of it.
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { PROGRAMS, assert, order, withNetwork } = require("./local_node.cjs");

/** What each part of the library is to tell, in this order. */
const EXPECTED = {
  market: ["demandSubscriptionStarted", "offerProposalReceived", "offerCounterProposalSent", "agreementApproved", "agreementTerminated"],
  activity: ["activityCreated", "scriptExecuted", "exeUnitInitialized", "batchEventsReceived", "activityDestroyed"],
  payment: ["allocationCreated", "invoiceReceived", "invoiceAccepted"],
  rental: ["exeUnitCreated", "finalized"],
};

/** Notes the first time that each of the names is told. */
function listen(events, names) {
  const told = [];
  for (const name of names) events.once(name, () => told.push(name));
  return told;
}

withNetwork(async (golem) => {
  const told = Object.fromEntries(
    ["market", "activity", "payment"].map((part) => [part, listen(golem[part].events, EXPECTED[part])]),
  );
  const rental = await golem.oneOf({ order });
  told.rental = listen(rental.events, EXPECTED.rental);
  const exe = await rental.getExeUnit();
  const help = await exe.run(`${PROGRAMS}/simple_service.py`, ["--help"]);
  assert.equal(help.result, "Ok");
  assert.match(help.stdout, /--stats/);
  const failed = await exe.run(`${PROGRAMS}/simple_service.py`, ["--nonsense"]);
  assert.equal(failed.result, "Error");
  assert.match(failed.message, /exited with code 2/);

  const remote = await exe.runAndStream(`${PROGRAMS}/simple_service.py`, ["--help"]);
  let streamed = "";
  remote.stdout.subscribe((part) => (streamed += part));
  const exit = await remote.waitForExit(60_000);
  assert.equal(exit.result, "Ok");
  assert.equal(streamed, help.stdout);

  await exe.uploadJson({ a: [1, 2] }, "/golem/in/x.json");
  assert.deepEqual((await exe.downloadJson("/golem/in/x.json")).data, { a: [1, 2] });
  await exe.uploadData(new TextEncoder().encode("some bytes"), "/golem/in/bytes");
  const bytes = (await exe.downloadData("/golem/in/bytes")).data;
  assert.equal(new TextDecoder().decode(bytes), "some bytes");
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "golem-js-"));
  const [sent, received] = [path.join(folder, "sent"), path.join(folder, "received")];
  fs.writeFileSync(sent, Buffer.alloc(1_000_000, 7));
  await exe.uploadFile(sent, "/golem/in/file");
  await exe.downloadFile("/golem/in/file", received);
  assert.ok(fs.readFileSync(sent).equals(fs.readFileSync(received)));

  const batch = exe.beginBatch();
  for (let command = 0; command < 3; command++) batch.run(`${PROGRAMS}/simple_service.py`, ["--help"]);
  assert.deepEqual((await batch.end()).map((one) => one.result), ["Ok", "Ok", "Ok"]);
  assert.equal(await rental.fetchAgreementState(), "Approved");
  await rental.destroyExeUnit();
  await rental.stopAndFinalize();
  assert.equal(await rental.fetchAgreementState(), "Terminated");
  assert.deepEqual(told, EXPECTED);
  console.log("all files were there and back, and", Object.values(told).flat().length, "kinds of events were told");
});
