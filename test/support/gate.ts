import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that is shut until it is opened: whoever connects is refused, as by a server that is not there. */
export interface Gate {
  /** `host:port` of the way. */
  readonly place: string;
  open(): Promise<void>;
  /** Also ends the connections that are open. */
  shut(): Promise<void>;
}

/** Makes a shut gate to the server at `host:port`. */
export async function newGate(target: string): Promise<Gate> {
  const { hostname, port } = new URL(`tcp://${target}`);
  const reserved = createServer().listen(0, '127.0.0.1');
  await once(reserved, 'listening');
  const { port: own } = reserved.address() as AddressInfo;
  reserved.close();
  await once(reserved, 'close');
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const forward = (from: Socket): void => {
    const to = connect({ host: hostname, port: Number(port) });
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  };
  return {
    place: `127.0.0.1:${own}`,
    open: async () => {
      server = createServer(forward).listen(own, '127.0.0.1');
      await once(server, 'listening');
    },
    shut: async () => {
      const ended = server;
      server = undefined;
      if (ended === undefined) return;
      ended.close();
      for (const socket of sockets) socket.destroy();
      await once(ended, 'close');
    },
  };
}
