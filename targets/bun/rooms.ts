// Rooms of the app: who is a member, what was said, and how it reaches every member.

/** Where messages for one connection go. */
export interface Member {
  deliver(text: string): void;
}

export interface Limits {
  /** Most rooms at a time. */
  rooms: number;
  /** Messages that each keeps. */
  history: number;
  /** Bytes of messages that each keeps. */
  historyBytes: number;
  /** Shortest time between two presence messages of one room, in milliseconds. */
  presenceEvery: number;
}

/** One room; it lives from the first join until the last leave. */
export class Room {
  readonly members = new Set<Member>();
  #seq = 0;
  #history: { text: string; bytes: number }[] = [];
  #historyBytes = 0;
  #presenceDue = false;

  constructor(
    readonly name: string,
    readonly limits: Limits,
  ) {}

  /** Hands a message to every member, the publisher included. It is written once, and all see the same order. */
  publish(at: string, body: string) {
    this.#seq += 1;
    const text = `{"type":"message","room":"${this.name}","seq":${this.#seq},"at":"${at}","body":${JSON.stringify(body)}}`;
    for (const member of this.members) member.deliver(text);
    this.#keep(text);
  }

  /** The `history` message with the last `last` messages that are kept. */
  history(last = Infinity): string {
    const from = Math.max(0, this.#history.length - last);
    const messages = this.#history.slice(from).map((kept) => kept.text);
    return `{"type":"history","room":"${this.name}","messages":[${messages.join(",")}]}`;
  }

  /** Sends the number of members to all of them a moment later, unless that is already about to happen. */
  announce() {
    if (this.#presenceDue) return;
    this.#presenceDue = true;
    setTimeout(() => {
      this.#presenceDue = false;
      const text = presence(this.name, this.members.size);
      for (const member of this.members) member.deliver(text);
    }, this.limits.presenceEvery);
  }

  #keep(text: string) {
    const bytes = Buffer.byteLength(text);
    this.#history.push({ text, bytes });
    this.#historyBytes += bytes;
    while (this.#history.length > this.limits.history || this.#historyBytes > this.limits.historyBytes) {
      this.#historyBytes -= this.#history.shift()!.bytes;
    }
  }
}

/** All rooms of the server. */
export class Rooms {
  #rooms = new Map<string, Room>();

  constructor(readonly limits: Limits) {}

  get count(): number {
    return this.#rooms.size;
  }

  /** Makes a connection a member. `undefined`: there are too many rooms. */
  join(name: string, member: Member): Room | undefined {
    let room = this.#rooms.get(name);
    if (!room) {
      if (this.#rooms.size >= this.limits.rooms) return undefined;
      room = new Room(name, this.limits);
      this.#rooms.set(name, room);
    }
    if (!room.members.has(member)) {
      room.members.add(member);
      room.announce();
    }
    return room;
  }

  /** Ends a membership; the room ends with its last member. */
  leave(room: Room, member: Member) {
    if (!room.members.delete(member)) return;
    if (room.members.size > 0) room.announce();
    else this.#rooms.delete(room.name);
  }

  /** Members of a room now. */
  presence(name: string): number {
    return this.#rooms.get(name)?.members.size ?? 0;
  }
}

/** The `presence` message. */
export function presence(room: string, count: number): string {
  return `{"type":"presence","room":"${room}","count":${count}}`;
}
