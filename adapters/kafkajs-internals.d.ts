declare module 'kafkajs/src/network/requestQueue/index.js' {
  interface SocketRequest {
    readonly requestTimeout: number;
    timeoutRequest(): void;
  }

  /** The requests of one connection; only the members that adapters/kafka-client.ts uses. */
  class RequestQueue {
    readonly pending: readonly unknown[];
    readonly inflight: ReadonlyMap<number, SocketRequest>;
    readonly requestTimeout: number;
    readonly isConnected: () => boolean;
    requestTimeoutIntervalId: NodeJS.Timeout | undefined;
    scheduleCheckPendingRequests(): void;
    scheduleRequestTimeoutCheck(): void;
    destroy(): void;
  }
  export = RequestQueue;
}

declare module 'kafkajs/src/protocol/requests/fetch/v11/request.js' {
  /** A request as a connection sends it. */
  function fetchRequest(wanted: {
    readonly replicaId: number;
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    readonly isolationLevel: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }[];
    }[];
  }): object;
  export = fetchRequest;
}

declare module 'kafkajs/src/protocol/error.js' {
  /** An error of a broker; its `type` is the name of the code. */
  const errors: { createErrorFromCode(code: number): Error };
  export = errors;
}
