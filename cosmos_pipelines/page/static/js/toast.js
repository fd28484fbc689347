// A short message at the edge of the page, with a way back where there is one.
const STAYS_MS = 6000;

export function say(text, { bad = false, undo = null } = {}) {
  const toast = document.createElement("div");
  toast.className = bad ? "toast is-bad" : "toast";
  toast.append(Object.assign(document.createElement("span"), { textContent: text }));
  if (undo) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Undo" });
    button.addEventListener("click", () => { toast.remove(); undo(); });
    toast.append(button);
  }
  document.querySelector("#toasts").append(toast);
  setTimeout(() => toast.remove(), bad ? 2 * STAYS_MS : STAYS_MS);
  return toast;
}
