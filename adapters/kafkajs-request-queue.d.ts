declare module 'kafkajs/src/network/requestQueue/index.js' {
  /** The requests of one connection; of its inside only what adapters/kafka-client.ts touches. */
  class RequestQueue {
    readonly pending: readonly unknown[];
    scheduleCheckPendingRequests(): void;
  }
  export = RequestQueue;
}
