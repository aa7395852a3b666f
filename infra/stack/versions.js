/** Versions that the stack runs. compose.yaml, the Dockerfile, pom.xml, go.mod and requirements name the same; a test compares them. */
export const VERSIONS = {
  kafka: '4.1.2',
  registry: '3.3.3',
  versitygw: 'v1.8.0',
  toxiproxy: 'v2.12.0',
  redis: '7.0.15',
  jre: '21.0.8.2',
  go: '1.27.3',
};

/** The oldest major versions of the machine's programs with which the stack was seen to work. */
export const OLDEST = { kafkaJava: 17, registryJava: 21, goMinor: 25, redis: 7 };
