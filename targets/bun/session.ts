// One open connection of the app: what it may send, what it is answered, and when it ends.
import type { Options } from "./app";
import { type Member, presence, type Room, type Rooms } from "./rooms";

export type Socket = Bun.ServerWebSocket<Session>;

/** What is counted; the names are those of `/metrics`. */
export const counters = {
  connections_total: 0,
  messages_in_total: 0,
  messages_out_total: 0,
  slow_readers_total: 0,
  idle_closed_total: 0,
  rate_limited_total: 0,
  rate_closed_total: 0,
};

const ERRORS = {
  "bad-message": "not a JSON object with the keys of its type",
  "unknown-type": "no such type of message",
  "bad-room": "a room is named by 1 to 64 of A-Z a-z 0-9 . _ : -",
  "not-joined": "not a member of this room",
  "room-limit": "too many rooms",
  "rate-limited": "too many messages, this one is ignored",
};

const ROOM = /^[A-Za-z0-9._:-]{1,64}$/;
const MOMENT = /^[0-9]{1,20}$/;
/** The digits of an id: it may be beyond 2^53, where a number of JavaScript is another one. */
const ID = /"id"\s*:\s*(0|[1-9][0-9]{0,19})\s*[,}]/;

/** Time that a peer which does not read gets to answer our close frame, in milliseconds. */
const CLOSE_WITHIN = 1000;

export class Session implements Member {
  heard = Date.now();
  ended = false;
  #socket!: Socket;
  #rooms = new Map<string, Room>();
  #tokens: number;
  #refilled = performance.now();
  #strikes = 0;
  /** Messages that wait for the peer to read. */
  #waiting = 0;
  /** A real application knows who is connected. Not zero: the kernel provides zeroed pages only once they are written. */
  #state: Uint8Array;

  constructor(
    readonly options: Options,
    readonly rooms: Rooms,
  ) {
    this.#tokens = options.burst;
    this.#state = new Uint8Array(options.state).fill(0x5a);
  }

  open(socket: Socket) {
    this.#socket = socket;
    counters.connections_total += 1;
  }

  /** It is gone: it leaves all its rooms. */
  close() {
    this.ended = true;
    for (const room of this.#rooms.values()) this.rooms.leave(room, this);
    this.#rooms.clear();
  }

  ping() {
    this.heard = Date.now();
    this.#admit();
  }

  /** What waited was read. */
  drain() {
    this.#waiting = 0;
  }

  /** Sends a message; a peer that reads too slowly is dropped, so that it cannot take all memory. */
  deliver(text: string) {
    if (this.ended) return;
    if (this.#waiting >= this.options.queue) {
      counters.slow_readers_total += 1;
      this.end(4008, "slow reader");
      return;
    }
    counters.messages_out_total += 1;
    // -1: it waits for the peer to read.
    if (this.#socket.send(text) < 0) this.#waiting += 1;
  }

  /** Closes the connection, and cuts it off where the peer does not answer. */
  end(code: number, reason: string) {
    if (this.ended) return;
    this.close();
    this.#socket.close(code, reason);
    setTimeout(() => this.#socket.terminate(), CLOSE_WITHIN).unref();
  }

  receive(message: string | Buffer) {
    if (this.ended) return;
    this.heard = Date.now();
    if (typeof message !== "string") return this.end(1003, "text only");
    const most = this.options.maxMessage;
    if (message.length * 3 > most && Buffer.byteLength(message) > most) return this.end(1009, "");
    if (!this.#admit()) return;
    counters.messages_in_total += 1;
    if (this.#state.length > 0) this.#state[counters.messages_in_total % this.#state.length] += 1;
    const fault = this.#handle(message);
    if (fault) this.#refuse(fault);
  }

  #refuse(code: keyof typeof ERRORS) {
    this.deliver(`{"type":"error","code":"${code}","text":"${ERRORS[code]}"}`);
  }

  /** A token for each message and each ping; who is refused too often ends. */
  #admit(): boolean {
    const now = performance.now();
    const { rate, burst, strikes } = this.options;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#refilled) / 1000) * rate);
    this.#refilled = now;
    if (this.#tokens >= burst) this.#strikes = 0;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return true;
    }
    counters.rate_limited_total += 1;
    this.#strikes += 1;
    if (this.#strikes > strikes) {
      counters.rate_closed_total += 1;
      this.end(1008, "rate limit");
    } else {
      this.#refuse("rate-limited");
    }
    return false;
  }

  /** Does what a message asks for; returns why it cannot. */
  #handle(text: string): keyof typeof ERRORS | undefined {
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(text);
    } catch {
      return "bad-message";
    }
    if (typeof message !== "object" || message === null || Array.isArray(message)) return "bad-message";
    const { type, room: name } = message;
    if (typeof type !== "string") return "bad-message";
    if (type === "heartbeat") {
      const digits = ID.exec(text)?.[1];
      if (!digits || Number(digits) !== message.id || BigInt(digits) > 0xffff_ffff_ffff_ffffn) return "bad-message";
      this.deliver(`{"type":"heartbeat","id":${digits}}`);
      return;
    }
    if (!["join", "leave", "publish", "presence", "history"].includes(type)) return "unknown-type";
    if (typeof name !== "string") return "bad-message";
    if (!ROOM.test(name)) return "bad-room";
    return this.#inRoom(type, name, message);
  }

  #inRoom(type: string, name: string, message: Record<string, unknown>): keyof typeof ERRORS | undefined {
    if (type === "join") return this.#join(name);
    if (type === "presence") {
      this.deliver(presence(name, this.rooms.presence(name)));
      return;
    }
    const { at = "0", body, last } = message;
    if (type === "publish" && (typeof body !== "string" || typeof at !== "string" || !MOMENT.test(at))) {
      return "bad-message";
    }
    if (last !== undefined && last !== null && !(Number.isSafeInteger(last) && (last as number) >= 0)) {
      return "bad-message";
    }
    const room = this.#rooms.get(name);
    if (!room) return "not-joined";
    if (type === "publish") {
      room.publish(at as string, body as string);
    } else if (type === "history") {
      this.deliver(room.history((last as number) ?? Infinity));
    } else {
      this.#rooms.delete(name);
      this.rooms.leave(room, this);
      this.deliver(`{"type":"left","room":"${name}"}`);
    }
  }

  #join(name: string): keyof typeof ERRORS | undefined {
    const known = this.#rooms.has(name);
    if (!known && this.#rooms.size >= this.options.roomsPerConnection) return "room-limit";
    const room = this.rooms.join(name, this);
    if (!room) return "room-limit";
    this.#rooms.set(name, room);
    this.deliver(`{"type":"joined","room":"${name}","count":${room.members.size}}`);
  }
}
