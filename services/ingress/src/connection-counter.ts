import type { Socket } from 'node:net';

/** Counts connections by a key, such as an address, as long as they are open. @returns how many have the key with this one */
export function connectionCounter() {
  const open = new Map<string, number>();
  return (socket: Socket, key: string): number => {
    const now = (open.get(key) ?? 0) + 1;
    open.set(key, now);
    socket.once('close', () => {
      const left = open.get(key)! - 1;
      if (left > 0) open.set(key, left);
      else open.delete(key);
    });
    return now;
  };
}
