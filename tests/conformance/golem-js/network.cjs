// A network of two rentals that serve: each reaches the other, and a TCP proxy on this side reaches both.
const net = require("node:net");
const { once } = require("node:events");
const readline = require("node:readline");
const { PROGRAMS, assert, freePort, get, orderOf, withNetwork } = require("./local_node.cjs");

const PORT = 7000;

/** What is answered to lines. */
async function ask(port, lines) {
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  const answers = [];
  const received = readline.createInterface({ input: socket })[Symbol.asyncIterator]();
  for (const line of lines) {
    socket.write(line + "\n");
    answers.push((await received.next()).value);
  }
  socket.destroy();
  return answers;
}

withNetwork(async (golem) => {
  const network = await golem.createNetwork({ ip: "192.168.7.0/24" });
  const order = { ...orderOf({ imageTag: "kiln/peer:latest", capabilities: ["vpn"] }), network };
  const pool = await golem.manyOf({ poolSize: 2, order });
  const rentals = await Promise.all([pool.acquire(), pool.acquire()]);
  const exes = await Promise.all(rentals.map((rental) => rental.getExeUnit()));
  const names = ["one", "two"];
  for (const [i, exe] of exes.entries()) {
    assert.equal((await exe.run(`${PROGRAMS}/peer`, ["serve", names[i], `${PORT}`])).result, "Ok");
  }
  for (const [i, exe] of exes.entries()) {
    const other = exes[1 - i].getIp();
    const asked = await exe.run(`${PROGRAMS}/peer`, ["ask", other, `${PORT}`, `hello from ${names[i]}`]);
    assert.equal(asked.result, "Ok", asked.stderr);
    console.log(`${names[i]}: ${asked.stdout.trim()}`);
  }

  for (const [i, exe] of exes.entries()) {
    const proxy = exe.createTcpProxy(PORT);
    const port = await freePort();
    await proxy.listen(port);
    const [first, second] = await ask(port, ["a", "b".repeat(100_000)]);
    assert.equal(second, `${names[i]} heard ${"b".repeat(100_000)}`);
    console.log(`through the proxy: ${first}`);
    await proxy.close();
  }
  for (const rental of rentals) await pool.destroy(rental);
  await pool.drainAndClear();
  await golem.destroyNetwork(network);
  assert.deepEqual(await get("/net-api/v2/vpn/net"), []);
});
