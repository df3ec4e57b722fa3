// What happened while one looked elsewhere: a mark in the list and in the title, and, where it is wanted, a notice of
// the browser when a run that took long ends or asks something.
(() => {
  "use strict";
  const P = window.parlance;
  const NAME = "parlance-unread";
  const SEEN = "parlance-newest";
  const LONG = 20; // seconds

  const kept = () => {
    try {
      return new Set(JSON.parse(P.recall(NAME) || "[]"));
    } catch {
      return new Set();
    }
  };
  const keep = (unread) => {
    P.remember(NAME, unread.size ? JSON.stringify([...unread].slice(-50)) : null);
    P.parts.side.mark();
    P.showTitle();
  };
  P.unread = kept;
  P.forgetNews = () => [NAME, SEEN].forEach((name) => P.remember(name, null));

  // What changed while no page was open is marked at the next visit. Times are the server's, so clocks do not matter.
  let first = true;
  P.takeConversations = (items) => {
    P.conversations = items;
    const newest = items.reduce((time, c) => (c.updated_at > time ? c.updated_at : time), "");
    const before = P.recall(SEEN);
    if (newest > (before || "")) P.remember(SEEN, newest);
    if (!first || !items.length) return;
    first = false;
    const fresh = before ? items.filter((c) => c.updated_at > before && c.id !== P.conversation) : [];
    if (fresh.length) keep(new Set([...kept(), ...fresh.map((c) => c.id).reverse()])); // of too many the newest stay
  };
  P.seen = (conversation) => {
    const unread = kept();
    if (unread.delete(conversation) && !document.hidden) keep(unread);
  };
  addEventListener("storage", (event) => event.key === NAME && (P.parts.side.mark(), P.showTitle()));
  document.addEventListener("visibilitychange", () => !document.hidden && P.seen(P.conversation));

  P.showTitle = () => {
    const name = P.head.title ? `${P.head.title} · Parlance` : "Parlance";
    const count = kept().size;
    document.title = count ? `(${count}) ${name}` : name;
  };

  const words = {
    run: (news) => [`${news.workflow} ${{ ok: "is done", failed: "failed", cancelled: "was stopped" }[news.status] || "has ended"}`, "Parlance has the result."],
    question: () => ["A run asks you something", "It goes on when you have answered."],
  };

  P.takeNews = (news) => {
    const away = document.hidden || news.conversation_id !== P.conversation;
    if (away && (P.conversations || []).some((c) => c.id === news.conversation_id)) keep(kept().add(news.conversation_id));
    if (!document.hidden || !P.wantsNotices() || !words[news.what]) return;
    if (news.what === "run" && (new Date(news.ended_at) - new Date(news.created_at)) / 1000 < LONG) return;
    const [title, body] = words[news.what](news);
    const notice = new Notification(title, { body, tag: news.run_id, icon: "/favicon.ico" });
    notice.onclick = () => {
      focus();
      P.open(news.conversation_id);
      notice.close();
    };
  };
  P.wantsNotices = () => P.preferences?.notices !== false && "Notification" in window && Notification.permission === "granted";
})();
