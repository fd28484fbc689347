// A request that only reads is sent once more if no answer came: the computer may just have changed its
// network, or begun a container, after which browsers end their requests.
const PAUSE_MS = 300;

export async function read(path, options = {}) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    await new Promise((go) => setTimeout(go, PAUSE_MS));
    return fetch(path, options);
  }
}
