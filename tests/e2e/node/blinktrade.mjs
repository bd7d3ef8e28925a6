// Trades on a simulated BlinkTrade by the venue's own SDK, over its WebSocket and its REST.
//
//     node blinktrade.mjs FOLDER 127.0.0.1:PORT KEY PASSWORD SECRET
//
// FOLDER holds node_modules. The last line printed is one JSON object.
import { createRequire } from "node:module";

const [folder, address, key, password, secret] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { BlinkTradeWS, BlinkTradeRest } = require("blinktrade");

const SYMBOL = "BTCUSD";
const UNIT = 1e8;
const PATIENCE_MS = 10_000;
const PACE_MS = 70; // sixteen messages in one second end the socket

class Quiet extends BlinkTradeWS {
  getStun() {} // which asks a dozen servers of others for this machine's address
}

async function until(holds, what) {
  const end = Date.now() + PATIENCE_MS;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(5);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function within(ask, what) {
  await pause(PACE_MS);
  const late = (_, reject) =>
    setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
  return Promise.race([ask(), new Promise(late)]);
}

const venue = new Quiet({ url: `ws://${address}/trade/`, brokerId: 5 });
await until(() => venue.fingerPrint !== undefined, "the fingerprint");
await within(() => venue.connect(), "the socket");
const beat = await within(() => venue.heartbeat(), "a heartbeat");
const refusal = await within(
  () => venue.login({ username: key, password: "wrong" }).then(() => null, (refused) => refused),
  "a refusal",
);
const login = await within(() => venue.login({ username: key, password }), "the login");

const reports = [];
venue.executionReport((report) => reports.push(report));
const tickers = [];
const ticker = await within(
  () => venue.subscribeTicker([`BLINK:${SYMBOL}`])
    .on(`BLINK:${SYMBOL}`, (each) => tickers.push(each)),
  "the ticker",
);
const changes = [];
const book = await within(
  () => venue.subscribeOrderbook([SYMBOL]).onAny((event, change) => {
    if (event.startsWith("OB:")) changes.push(change);
  }),
  "the book",
);
const pushed = {};
const before = await within(
  () => venue.balance().on("BALANCE", (balance) => Object.assign(pushed, balance[5])),
  "the balances",
);

const { bids, asks } = book.MDFullGrp[SYMBOL];
const onTick = (price) => Math.round(price * 100) * (UNIT / 100);
const order = (side, price, amount) =>
  venue.sendOrder({ side, price: onTick(price), amount: amount * UNIT, symbol: SYMBOL });
const told = (id, type) =>
  reports.some((report) => report.OrderID === id && report.ExecType === type);

const resting = await within(() => order("1", bids[0][0] * 0.9, 0.5), "the order to rest");
const open = await within(() => venue.myOrders({ filter: ["has_leaves_qty eq 1"] }), "open orders");
const locked = await within(() => venue.balance(), "the balances, locked");
const canceled = await within(
  () => venue.cancelOrder({ orderId: resting.OrderID, clientId: resting.ClOrdID }), "the cancel",
);
const taking = await within(() => order("1", asks[0][0] * 1.02, 0.01), "the buy");
await until(() => told(taking.OrderID, "2"), "the buy to be filled");
await until(() => changes.some((change) => change.type === "OB:TRADE_NEW"
  && change.orderId === taking.OrderID), "the public print of the buy");
await until(() => changes.length >= 20, "changes of the book");
await until(() => tickers.length > 0, "a ticker");
const pushedByThen = { ...pushed }; // answers to the SDK's questions end up there too
venue.unSubscribeOrderbook(book.MDReqID);
venue.unSubscribeTicker(ticker.SecurityStatusReqID);
const after = await within(() => venue.balance(), "the balances afterwards");
const done = await within(() => venue.myOrders(), "all orders");
const history = await within(() => venue.tradeHistory({ pageSize: 5 }), "the trades");
venue.disconnect();

// The book as positions and their changes make it.
const sides = { buy: bids.map(([, size, , id]) => [id, size]),
  sell: asks.map(([, size, , id]) => [id, size]) };
const broken = [];
for (const { type, side, index, orderId, size } of changes) {
  const at = index - 1;
  const rows = sides[side];
  if (type === "OB:NEW_ORDER") {
    if (at > rows.length) broken.push(`${type} at ${index} of ${rows.length}`);
    rows.splice(at, 0, [orderId, size]);
  } else if (type === "OB:UPDATE_ORDER") {
    if (rows[at]?.[0] !== orderId) broken.push(`${type} at ${index} is of another order`);
    else rows[at][1] = size;
  } else if (type === "OB:DELETE_ORDER") {
    if (at >= rows.length) broken.push(`${type} at ${index} of ${rows.length}`);
    rows.splice(at, 1);
  } else if (type === "OB:DELETE_ORDERS_THRU") rows.splice(0, index);
}

// The same exchange by REST.
const rest = new BlinkTradeRest({ url: `http://${address}/`, key, secret, currency: "USD" });
const restTicker = await within(() => rest.ticker(), "the ticker by REST");
const restBook = await within(() => rest.orderbook(), "the book by REST");
const restTrades = await within(() => rest.trades({ limit: 10, since: 0 }), "the trades by REST");
const restBalance = await within(() => rest.balance(), "the balances by REST");
const restOrder = await within(
  () => rest.sendOrder({ side: "1", price: onTick(bids[0][0] * 0.9), amount: 0.5 * UNIT,
    symbol: SYMBOL }),
  "the order by REST",
);
const report = [].concat(restOrder).find((each) => each.MsgType === "8");
const restCancel = await within(() => rest.cancelOrder({ orderId: report.OrderID }), "its cancel");
const restOpen = await within(
  () => rest.myOrders({ filter: ["has_leaves_qty eq 1"] }), "what is open by REST",
);
const forger = new BlinkTradeRest({ url: `http://${address}/`, key, secret: "no" });
const restRefusal = await within(
  () => forger.balance().then(() => null, (refused) => refused), "a refusal by REST",
);

console.log(JSON.stringify({
  beat, refusal, login, ticker, tickers: tickers.length, lastTicker: tickers.at(-1) ?? null,
  bids: bids.length, asks: asks.length, changes: changes.length, broken,
  prints: changes.filter((change) => change.type === "OB:TRADE_NEW"
    && change.orderId === taking.OrderID),
  before: before.Available, resting, open: open.OrdListGrp, locked: locked.Available, canceled,
  taking, fills: reports.filter((each) => each.OrderID === taking.OrderID),
  after: after.Available, pushed: pushedByThen, done: done.OrdListGrp,
  history: history.TradeHistoryGrp,
  restTicker, restBook: [restBook.bids.length, restBook.asks.length],
  restTrades: restTrades.length, restBalance: restBalance.Available, restOrder, restCancel,
  restOpen: restOpen.OrdListGrp, restRefusal,
}));
process.exit(0);
