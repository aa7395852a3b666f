import { randomBytes } from 'node:crypto';

/** A fault of Toxiproxy, as its API spells it. */
export interface Toxic {
  readonly type: 'limit_data' | 'timeout' | 'latency' | 'reset_peer';
  /** `downstream` is what the server answers. */
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

/** A way to a server that only one test uses, and that can be made faulty. */
export interface FaultyLink {
  /** The server's URL, by this way. */
  readonly url: string;
  /** Does `act` while the link has the fault, and takes the fault away again. */
  during<T>(toxic: Toxic, act: () => Promise<T>): Promise<T>;
  release(): Promise<void>;
}

/** A proxy of the stack itself, by its name; every test of the stack uses it. */
export function openToxiproxy(api: string, name: string): Pick<FaultyLink, 'during'> {
  return { during: (toxic, act) => during(`${api}/proxies/${name}`, toxic, act) };
}

/** Does `act` while a proxy of the stack refuses all connections; those that were open are cut. */
export async function whileCut<T>(api: string, name: string, act: () => Promise<T>): Promise<T> {
  await ask('POST', `${api}/proxies/${name}`, { enabled: false });
  try {
    return await act();
  } finally {
    await ask('POST', `${api}/proxies/${name}`, { enabled: true });
  }
}

/** Opens a link to the server at `url` by the Toxiproxy at `api`. */
export async function openFaultyLink(api: string, url: string): Promise<FaultyLink> {
  const name = `test-${randomBytes(8).toString('hex')}`;
  const made = await ask('POST', `${api}/proxies`, { name, listen: '127.0.0.1:0', upstream: new URL(url).host });
  const proxy = `${api}/proxies/${name}`;
  return {
    url: url.replace(new URL(url).host, (JSON.parse(made) as { listen: string }).listen),
    during: (toxic, act) => during(proxy, toxic, act),
    release: async () => {
      await ask('DELETE', proxy);
    },
  };
}

async function during<T>(proxy: string, toxic: Toxic, act: () => Promise<T>): Promise<T> {
  await ask('POST', `${proxy}/toxics`, { ...toxic, name: 'fault', toxicity: 1 });
  try {
    return await act();
  } finally {
    await ask('DELETE', `${proxy}/toxics/fault`);
  }
}

async function ask(method: string, url: string, body?: object): Promise<string> {
  const response = await fetch(url, {
    method,
    headers: { connection: 'close' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text;
}
