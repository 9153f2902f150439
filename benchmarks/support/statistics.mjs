// The few figures that the benchmarks make of their samples, and how tables show them.

export const median = (values) => quantile(values, 0.5);

export const quantile = (values, share) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

export const show = (value) => (value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(2));
