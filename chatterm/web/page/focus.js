// Keys go to the chat from the start, and again when its tab is looked at again. The terminal tells the program
// that it has the focus when it gets it, which must be after the program's first byte.
function focusTerminal() {
  const area = document.querySelector(".xterm-helper-textarea");
  area?.blur();
  area?.focus();
}
const started = new MutationObserver(() => {
  if (document.body.classList.contains("-first-byte")) {
    started.disconnect();
    setTimeout(focusTerminal, 300);
  }
});
started.observe(document.body, { attributes: true, attributeFilter: ["class"] });
window.addEventListener("focus", focusTerminal);
