// Which lines are shown, and where the next error is: asked of a worker, which is ended if it does
// not answer, so that no expression can hold the page.
const PATIENCE_MS = 3000;

export class Search {
  // onFound(lines), onEnd({line, most}), onTrouble(sentence), onProgress(share).
  constructor(order, told) {
    this.worker = new Worker(new URL("./search.js", import.meta.url), { type: "module" });
    this.watch = 0;
    this.told = told;
    this.worker.onmessage = ({ data }) => this.#heard(data);
    this.worker.onerror = () => this.#end("The search could not be started.");
    this.worker.postMessage(order);
  }

  #heard(data) {
    clearTimeout(this.watch);
    if (data.error) return this.#end(data.error);
    if (data.busy) {
      this.watch = setTimeout(() => {
        this.#end("This expression takes too long on this log. Use a simpler one, or words.");
      }, PATIENCE_MS);
      return;
    }
    this.told.onFound(data.found);
    if (!data.ended) this.told.onProgress?.(data.from / Math.max(1, data.size));
    else { this.stop(); this.told.onEnd(data); }
  }

  #end(sentence) {
    this.stop();
    this.told.onTrouble(sentence);
  }

  stop() {
    clearTimeout(this.watch);
    this.worker.terminate();
  }
}
