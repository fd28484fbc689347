// The news of the project as events of the body: `cosmos:change` (detail: [{kind, id, deleted}]) and
// `cosmos:hello` (the stream has begun again, or much has changed: read anew). A hidden page closes its stream.
// `cosmos:hosts` and `cosmos:job`: a place of runs, or work of the server, is not as it was.
let source = null;

export function listen() {
  open();
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
}

function open() {
  if (source || document.hidden) return;
  // what changed while the page was on its way is told first; later streams begin with a new reading
  const made = seen ? null : document.querySelector("meta[name=cosmos-since]")?.content;
  source = new EventSource(`/cosmos/events${made ? `?since=${made}` : ""}`);
  source.addEventListener("hello", () => {
    if (!troubled) trouble(null);
    if (seen) emit("hello", {});
    seen = true;
  });
  for (const name of ["change", "hosts", "job"]) {
    source.addEventListener(name, (event) => emit(name, JSON.parse(event.data)));
  }
  source.addEventListener("trouble", (event) => {
    troubled = true;
    trouble(JSON.parse(event.data).message);
  });
  source.addEventListener("well", () => {
    trouble(null);
    if (troubled) emit("hello", {});
    troubled = false;
  });
  source.addEventListener("error", failed);
}

async function failed() {
  trouble("The server does not answer: what you see may be old. Is `cosmos ui` running?");
  if (source?.readyState !== EventSource.CLOSED) return;  // the browser tries again by itself
  close();
  setTimeout(open, 2000);
  const answer = await fetch("/cosmos/strip", { headers: { Accept: "application/json" } }).catch(() => null);
  if (answer?.status === 401) trouble("This server wants its token now: reload the page.");
}

// Whether what is shown may be old, as the catalog could not be read.
let troubled = document.querySelector("[data-away]") !== null;
let seen = false;

function close() {
  source?.close();
  source = null;
}

function emit(name, detail) {
  document.body.dispatchEvent(new CustomEvent(`cosmos:${name}`, { detail }));
}

function trouble(message) {
  const line = document.querySelector("#trouble");
  line.textContent = message ?? "";
  line.hidden = !message;
}
