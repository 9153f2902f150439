// The last result of a pure function, given again while its arguments are the same objects: views ask for the same rows several times in one
// picture, and for thousands of rows that counts. Pure. Called by views.

export function memoLast<A extends readonly unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  let last: { readonly args: A; readonly result: R } | undefined;
  return (...args) => {
    if (last && args.every((arg, at) => arg === last?.args[at])) return last.result;
    last = { args, result: work(...args) };
    return last.result;
  };
}
