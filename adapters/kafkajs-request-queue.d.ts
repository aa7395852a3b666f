declare module 'kafkajs/src/network/requestQueue/index.js' {
  /** The requests of one connection; only the members that adapters/kafka-client.ts uses. */
  class RequestQueue {
    readonly pending: readonly unknown[];
    scheduleCheckPendingRequests(): void;
  }
  export = RequestQueue;
}
