// What stands in the editor and is not saved, kept in this browser, one text per conversation: a reload, another
// conversation or a closed tab must not cost anybody a line.
(() => {
  "use strict";
  const P = window.parlance;
  const PREFIX = "parlance-unsaved:";
  const MOST = 20; // conversations with unsaved text; of more the oldest goes

  const names = () => Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  const at = (name) => JSON.parse(localStorage.getItem(name))?.at || 0;

  // What the browser would not keep: then, and only then, leaving asks.
  const unkept = new Set();
  addEventListener("beforeunload", (event) => unkept.size && event.preventDefault());

  P.kept = {
    // {text, basis, aside}: `basis` is the version it was begun from, `aside` such texts that were put away meanwhile.
    get(conversation) {
      try {
        return JSON.parse(localStorage.getItem(PREFIX + (conversation || "")));
      } catch {
        return null;
      }
    },
    set(conversation, value) {
      const name = PREFIX + (conversation || "");
      unkept.delete(name);
      try {
        if (!value) return localStorage.removeItem(name);
        localStorage.setItem(name, JSON.stringify({ ...value, at: Date.now() }));
        const all = names();
        if (all.length > MOST) localStorage.removeItem(all.sort((a, b) => at(a) - at(b))[0]);
      } catch {
        if (value) unkept.add(name);
      }
    },
    move(from, to) {
      const value = this.get(from);
      if (value) (this.set(to, value), this.set(from, null));
    },
    any: () => unkept.size > 0 || names().length > 0,
    clear: () => (unkept.clear(), names().forEach((name) => localStorage.removeItem(name))),
  };
})();
