/** A fault of Toxiproxy, as its API spells it. */
export interface Toxic {
  readonly type: 'limit_data' | 'timeout' | 'reset_peer' | 'latency';
  /** `downstream` is what the server answers. */
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

/** Does `act` while the link called `proxy` has the fault, and takes the fault away again. `api` is Toxiproxy's own address. */
export async function withToxic<T>(api: string, proxy: string, toxic: Toxic, act: () => Promise<T>): Promise<T> {
  const url = `${api}/proxies/${proxy}/toxics`;
  const name = `${toxic.type}-${toxic.stream}`;
  await ask(url, { method: 'POST', body: JSON.stringify({ ...toxic, name, toxicity: 1 }) });
  try {
    return await act();
  } finally {
    await ask(`${url}/${name}`, { method: 'DELETE' });
  }
}

async function ask(url: string, request: RequestInit): Promise<void> {
  const response = await fetch(url, { ...request, headers: { connection: 'close' } });
  const text = await response.text();
  if (!response.ok) throw new Error(`${request.method} ${url}: ${response.status} ${text}`);
}
