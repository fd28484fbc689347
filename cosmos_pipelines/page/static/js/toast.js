// A short message at the edge of the page, with a way back where there is one. Who has the pointer or the
// focus in it may take time.
const STAYS_MS = 6000;
const STAYS_LONGER_MS = 12000; // what has to be read well, or acted on

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
  const leave = () => setTimeout(() => {
    if (toast.matches(":hover, :focus-within")) leave();
    else toast.remove();
  }, bad || undo ? STAYS_LONGER_MS : STAYS_MS);
  leave();
  return toast;
}
