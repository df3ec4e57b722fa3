// The page's one connection to what happens on the server. It comes back by itself, and then everything is sent anew.
(() => {
  "use strict";
  const P = window.parlance;
  let socket = null;
  let pause = 400;
  let lost = null;
  const SIGNED_OUT = 4401;

  const on = {
    hello: (data) => greet(data),
    list: (data) => P.parts.side.list(data),
    head: (data) => mine(data) && P.parts.head.show(data),
    chat: (data) => mine(data) && P.takeChat(data),
    workflow: (data) => mine(data) && P.takeWorkflow(data.workflow),
    run: (data) => mine(data) && P.takeRun(data.run),
    runs: (data) => mine(data) && P.takeRuns(data.runs),
    draft: (data) => P.takeDraft(data),
    model: (data) => P.takeModel(data),
    news: (data) => P.takeNews(data),
    gone: (data) => mine(data) && (P.open(null, { replace: true }), P.deleting !== data.conversation && P.toast(data.message, data.fix)),
    error: (data) => P.toast(data.message, data.fix),
  };
  const mine = (data) => data.conversation === P.conversation;

  // A new process knows nothing of the form it did not make; a new version of the program wants a new page.
  let script = null;
  const greet = (data) => {
    if (script && script !== data.script) return location.reload();
    script = data.script;
    P.parts.side.signOut(data.password);
    const other = P.server && P.server !== data.server;
    P.server = data.server;
    P.arrive();
    if (other) P.askForm();
  };

  P.tell = (op, data = {}) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ op, ...data }));
  };

  P.connect = () => {
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/page/socket`);
    socket.onopen = () => {
      pause = 400;
      clearTimeout(lost);
      delete document.body.dataset.plLost;
      P.tell("open", { conversation: P.conversation });
    };
    socket.onmessage = (event) => {
      const data = JSON.parse(event.data);
      on[data.type]?.(data);
    };
    socket.onclose = async (event) => {
      if (event.code === SIGNED_OUT) return P.toLogin();
      lost ||= setTimeout(() => lose(), 1200);
      setTimeout(() => ((lost = null), P.connect()), pause);
      pause = Math.min(pause * 1.6, 5000);
      if (await P.signedOut()) P.toLogin();
    };
  };
  const lose = () => {
    document.body.dataset.plLost = "";
    P.parts.run.show();
  };

  P.disconnect = () => socket?.close();

  // --- which conversation is open ---

  P.open = (id, { replace = false, pane = "chat" } = {}) => {
    P.conversation = id || null;
    if (!id) P.freshPage();
    const url = new URL(location);
    if (id) url.searchParams.set("c", id);
    else url.searchParams.delete("c");
    if (url.href !== location.href) history[replace ? "replaceState" : "pushState"](null, "", url);
    P.forget();
    P.tell("open", { conversation: P.conversation });
    P.pane(pane);
    P.seen(P.conversation);
    P.parts.side.mark();
    P.$("#pl-box textarea")?.focus({ preventScroll: true });
  };

  P.forget = () => {
    P.parts.head.show({});
    P.takeChat({ first: 0, entries: [] });
    P.takeWorkflow(null);
    P.takeRun(null);
    P.takeRuns([]);
  };

  addEventListener("popstate", () => {
    const id = new URL(location).searchParams.get("c");
    if (id !== P.conversation) P.open(id, { replace: true });
  });
})();
