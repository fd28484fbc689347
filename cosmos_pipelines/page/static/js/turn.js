// What changes runs is sent one after the other, as it was asked for: of two requests that are on their
// way, the server may do the later one first, and a step that is not recorded yet cannot be taken back.
let last = Promise.resolve();

export const inTurn = (act) => (...given) => {
  const done = last.then(() => act(...given));
  last = done.catch(() => {});
  return done;
};
