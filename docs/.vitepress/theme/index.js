import mermaidUrl from '@mermaid-js/tiny/dist/mermaid.tiny.js?url';
import { onContentUpdated } from 'vitepress';
import DefaultTheme from 'vitepress/theme';
import './diagrams.css';

/** The default theme of VitePress with Mermaid diagrams. */
export default {
  extends: DefaultTheme,
  setup() {
    onContentUpdated(drawDiagrams);
  },
};

/** Replaces the text of the Mermaid blocks on the current page with pictures. */
async function drawDiagrams() {
  const nodes = [...globalThis.document.querySelectorAll('pre.mermaid:not([data-processed])')];
  if (nodes.length === 0) return;
  await loadMermaid();
  globalThis.mermaid.initialize({ startOnLoad: false, theme: 'neutral' });
  await globalThis.mermaid.run({ nodes });
}

let loading;

/**
 * Loads the build of Mermaid without dependencies; the package "mermaid" has about 90. This build is a script that
 * defines a global variable, not a module.
 */
function loadMermaid() {
  loading ??= new Promise((resolve, reject) => {
    const script = globalThis.document.createElement('script');
    script.src = mermaidUrl;
    script.onload = resolve;
    script.onerror = reject;
    globalThis.document.head.append(script);
  });
  return loading;
}
