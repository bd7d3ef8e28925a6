// Trades on a simulated Moonbase by the Phoenix framework's own client, and says what it saw.
//
//     node phoenix.mjs FOLDER PACKAGE ws://127.0.0.1:PORT KEY SECRET
//
// FOLDER holds node_modules. PACKAGE is `phoenix-1.2`, whose frames are objects, or `phoenix`,
// which is told to make objects of them. The last line printed is one JSON object.
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";

const [folder, name, url, key, secret] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { Socket } = require(name);
const WebSocket = require("ws");

const SYMBOL = "ETH_D:BTC_D";
const PATIENCE_MS = 10_000;

function signed(by) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const text = `GET\n/users/verify\nkey=${key}&timestamp=${timestamp}`;
  return { key, timestamp, signature: createHmac("sha256", by).update(text).digest("hex") };
}

function open(by) {
  const socket = new Socket(`${url}/socket/api`, {
    transport: WebSocket,
    params: signed(by),
    vsn: "1.0.0",
    encode: (message, send) => send(JSON.stringify(message)),
    decode: (text, take) => take(JSON.parse(text)),
    heartbeatIntervalMs: 100,
    reconnectAfterMs: () => 60_000,
  });
  return socket;
}

function answered(push) {
  return new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) {
      push.receive(status, (response) => resolve({ status, response }));
    }
  });
}

async function until(holds, what) {
  const end = Date.now() + PATIENCE_MS;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// A wrong signature is refused in the handshake.
const stranger = open(`${secret}, no`);
let refusal = null;
stranger.onError((error) => { refusal = refusal || error.message; });
stranger.connect();
await until(() => refusal, "a refusal");
stranger.disconnect();

const socket = open(secret);
const beats = [];
socket.onMessage((message) => { if (message.topic === "phoenix") beats.push(message.payload); });
socket.connect();
await until(() => socket.isConnected(), "the socket");

async function join(topic, terms, event) {
  const channel = socket.channel(topic, terms);
  const pushes = [];
  channel.on(event, ({ data }) => pushes.push(...data));
  const { status, response } = await answered(channel.join());
  if (status !== "ok") throw new Error(`${topic} is not joined: ${status}`);
  return { channel, pushes, snapshot: response };
}

const unknown = await answered(socket.channel("/nothing", {}).join());
const orders = await join(`/orders/${SYMBOL}`, { status: "open", limit: 100 }, "upsert");
const book = await join(`/orderbooks/${SYMBOL}`, { limit: null }, "upsert");
const trades = await join(`/trades/${SYMBOL}`, {}, "insert");
const tickers = await join("/tickers", { symbols: [SYMBOL] }, "upsert");
const balances = await join("/balances", {}, "upsert");

function best(sign) {
  const prices = book.snapshot.filter(([, amount]) => amount * sign > 0).map(([price]) => price);
  return sign > 0 ? Math.max(...prices) : Math.min(...prices);
}
const onTick = (price) => Math.round(price * 1e6) / 1e6;
const place = (terms) => answered(orders.channel.push("place", terms));

const resting = await place({ limit_price: onTick(best(1) * 0.9), requested_amount: 1.0 });
const taking = await place({ limit_price: onTick(best(-1) * 1.05), requested_amount: 0.5 });
const market = await place({ limit_price: null, requested_amount: -0.25 });
const refused = await place({ limit_price: 0.05, requested_amount: 1e9 });
const isDone = (id, amount) =>
  orders.pushes.some((order) => order.id === id && order.filled_amount === amount);
await until(() => isDone(taking.response.id, 0.5), "the buy to be filled");
await until(() => isDone(market.response.id, -0.25), "the sale to be filled");
const seenResting = orders.pushes.filter((order) => order.id === resting.response.id);
const canceled = await answered(orders.channel.push("cancel", { id: resting.response.id }));
const again = await answered(orders.channel.push("cancel", { id: resting.response.id }));
const hasEnded = () =>
  orders.pushes.some((order) => order.id === resting.response.id && order.cancelled_at);
await until(hasEnded, "the cancel to be pushed");

await until(() => book.pushes.length >= 20, "changes of the book");
const printsOf = ({ response }) =>
  trades.pushes.filter((trade) => trade.taker_order_id === response.id);
await until(() => printsOf(taking).length && printsOf(market).length, "the public prints");
await until(() => tickers.pushes.length > 0, "a ticker");
await until(() => beats.length >= 2, "answers to heartbeats");
const left = await answered(book.channel.leave());

const levels = new Map(book.snapshot);
let strangers = 0; // levels that were deleted without having been there
for (const [price, amount] of book.pushes) {
  if (amount !== 0) levels.set(price, amount);
  else if (!levels.delete(price)) strangers += 1;
}
const prices = (sign) =>
  [...levels].filter(([, amount]) => amount * sign > 0).map(([price]) => price);

console.log(JSON.stringify({
  refusal,
  unknown,
  openAtFirst: orders.snapshot,
  resting,
  seenResting,
  taking,
  taken: orders.pushes.filter((order) => order.id === taking.response.id).at(-1),
  market,
  sold: orders.pushes.filter((order) => order.id === market.response.id).at(-1),
  refused,
  canceled,
  again,
  printsOfBuy: printsOf(taking),
  printsOfSale: printsOf(market),
  printsAtFirst: trades.snapshot.length,
  ticker: tickers.pushes.at(-1),
  tickerAtFirst: tickers.snapshot,
  balancesAtFirst: balances.snapshot,
  balances: Object.fromEntries(balances.pushes.map((row) => [row.asset, row])),
  beat: beats[0],
  left: left.status,
  strangers,
  bestBid: Math.max(...prices(1)),
  bestAsk: Math.min(...prices(-1)),
}));
socket.disconnect();
process.exit(0);
