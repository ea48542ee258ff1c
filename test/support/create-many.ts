/** Makes a list of `count` elements. `make` receives the index of each element. */
export const createMany = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
