// Kubernetes quantities (`500m`, `64Mi`, `1e3`) as numbers, and what `resourceFieldRef` makes of them. Pure.
// Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

const SUFFIXES: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** undefined: not a quantity. */
export function parseQuantity(text: string | number): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)$/.exec(String(text));
  if (!match) return undefined;
  const [, number = '', exponent, suffix = ''] = match;
  const factor = exponent === undefined ? SUFFIXES[suffix] : 10 ** Number(exponent);
  return factor === undefined ? undefined : Number(number) * factor;
}

/** The quantity in units of `divisor`, rounded up, as the kubelet writes it; undefined where one of them is no quantity. */
export function inUnits(quantity: string | number, divisor: string | number = 1): string | undefined {
  const value = parseQuantity(quantity);
  const unit = parseQuantity(divisor);
  if (value === undefined || unit === undefined) return undefined;
  const count = value / (unit === 0 ? 1 : unit);
  // 0.1 / 0.001 is a little more than 100 in binary.
  return String(Math.ceil(Number(count.toPrecision(15))));
}
