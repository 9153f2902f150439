// What registries must be told so that the cluster can call the laptop back (`kt run --advertise`): the address of a preview Service, in
// the words of each registry's client. Pure. The Service itself is an ordinary preview (hold.ts).
// Sources: the reference pages of Spring Cloud Netflix, Consul, Zookeeper and Alibaba, and Dubbo's page on registration behind NAT.

/** `orders-anna` in `shop`, whose Service listens on `port`. */
export function registryVariables(service: string, namespace: string, port: number): Record<string, string> {
  const host = `${service}.${namespace}.svc`;
  const at = String(port);
  return {
    EUREKA_INSTANCE_HOSTNAME: host,
    EUREKA_INSTANCE_PREFERIPADDRESS: 'false',
    EUREKA_INSTANCE_NONSECUREPORT: at,
    EUREKA_INSTANCE_INSTANCEID: `${host}:${at}`,
    SPRING_CLOUD_NACOS_DISCOVERY_IP: host,
    SPRING_CLOUD_NACOS_DISCOVERY_PORT: at,
    SPRING_CLOUD_CONSUL_DISCOVERY_HOSTNAME: host,
    SPRING_CLOUD_CONSUL_DISCOVERY_PORT: at,
    SPRING_CLOUD_ZOOKEEPER_DISCOVERY_INSTANCEHOST: host,
    SPRING_CLOUD_ZOOKEEPER_DISCOVERY_INSTANCEPORT: at,
    DUBBO_IP_TO_REGISTRY: host,
    DUBBO_PORT_TO_REGISTRY: at,
  };
}
