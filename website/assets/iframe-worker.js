"use strict";
// Pages that are opened as files may not start workers: the search then runs in a hidden frame that speaks like one.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.waiting = [];
      const home = new URL(address, location.href).href;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      (document.body || document.documentElement).append(frame);
      const inner = frame.contentWindow, load = (source) => new Promise((done, failed) => {
        const script = frame.contentDocument.createElement("script");
        script.src = new URL(source, home).href;
        script.onload = done;
        script.onerror = failed;
        frame.contentDocument.documentElement.append(script);
      });
      inner.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.inner = inner;
      load(home).then(() => { const waiting = this.waiting; this.waiting = null; waiting.forEach((data) => this.postMessage(data)); });
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.inner.dispatchEvent(new MessageEvent("message", { data }));
    }
    terminate() {}
  };
}
