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
