// A deployment: two pools of rentals, one of them in a network, and all of it ended at once.
const { GolemDeploymentBuilder } = require("@golem-sdk/golem-js/experimental");
const { PROGRAMS, assert, get, order, orderOf, withNetwork } = require("./local_node.cjs");

const PORT = "7000";

withNetwork(async (golem) => {
  const told = [];
  const deployment = new GolemDeploymentBuilder(golem)
    .createNetwork("inside", { ip: "192.168.8.0/24" })
    .createResourceRentalPool("service", { ...order, deployment: { replicas: 1 } })
    .createResourceRentalPool("peers", {
      ...orderOf({ imageTag: "kiln/peer:latest", capabilities: ["vpn"] }),
      deployment: { replicas: 2, network: "inside" },
    })
    .getDeployment();
  for (const name of ["ready", "beforeEnd", "end"]) deployment.events.on(name, () => told.push(name));
  await deployment.start();

  const help = await deployment.getResourceRentalPool("service").withRental(async (rental) => {
    const exe = await rental.getExeUnit();
    return exe.run(`${PROGRAMS}/simple_service.py`, ["--help"]);
  });
  assert.match(help.stdout, /--stats/);
  const peers = deployment.getResourceRentalPool("peers");
  const [asks, serves] = await Promise.all([peers.acquire(), peers.acquire()]);
  const server = await serves.getExeUnit();
  await server.run(`${PROGRAMS}/peer`, ["serve", "replica", PORT]);
  const asked = await (await asks.getExeUnit()).run(`${PROGRAMS}/peer`, ["ask", server.getIp(), PORT, "hello"]);
  console.log(asked.stdout.trim());

  await deployment.stop();
  assert.equal(deployment.getState(), "STOPPED");
  assert.deepEqual(await get("/net-api/v2/vpn/net"), []);
  console.log(...told);
  // What a deployment has set aside, it leaves to its user.
  for (const { allocationId } of await get("/payment-api/v1/allocations")) {
    await golem.payment.releaseAllocation(await golem.payment.getAllocation(allocationId));
  }
});
