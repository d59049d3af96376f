import { writeFile } from 'node:fs/promises';
import type { Tab } from './chromium.js';

/** A tab, driven as people do: with the mouse, a finger, the keyboard and files. */
export interface Driver {
  readonly tab: Tab;
  open(url: string): Promise<void>;
  /** The value of an expression in the page, by way of JSON; promises are awaited. @throws what it throws. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until an expression is true. @throws an error with the page's log after `seconds`. */
  until(expression: string, seconds?: number): Promise<void>;
  text(selector: string): Promise<string>;
  /** A click in the middle of what is seen of an element, or of a token of the story. */
  click(selector: string): Promise<void>;
  /** As `click`, with a finger: `screen` must have been told of a phone. */
  tap(selector: string): Promise<void>;
  move(selector: string): Promise<void>;
  press(key: string, modifiers?: number): Promise<void>;
  type(text: string): Promise<void>;
  /** Drops files in the middle of the page. */
  drop(...paths: string[]): Promise<void>;
  /** @param dark what the system prefers. */
  screen(width: number, height: number, options?: { readonly dark?: boolean; readonly phone?: boolean; readonly reducedMotion?: boolean }): Promise<void>;
  screenshot(file: string, isWhole?: boolean): Promise<void>;
}

const KEYS: Record<string, { code: string; windowsVirtualKeyCode: number; text?: string }> = {
  Enter: { code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' }, Escape: { code: 'Escape', windowsVirtualKeyCode: 27 }, Tab: { code: 'Tab', windowsVirtualKeyCode: 9 },
  Backspace: { code: 'Backspace', windowsVirtualKeyCode: 8 },
  ArrowRight: { code: 'ArrowRight', windowsVirtualKeyCode: 39 }, ArrowLeft: { code: 'ArrowLeft', windowsVirtualKeyCode: 37 },
  ArrowDown: { code: 'ArrowDown', windowsVirtualKeyCode: 40 }, Home: { code: 'Home', windowsVirtualKeyCode: 36 }, End: { code: 'End', windowsVirtualKeyCode: 35 },
  ' ': { code: 'Space', windowsVirtualKeyCode: 32, text: ' ' }, a: { code: 'KeyA', windowsVirtualKeyCode: 65, text: 'a' },
};

export function drive(tab: Tab): Driver {
  async function evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await tab.send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })) as {
      result: { value: T }; exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  async function place(selector: string): Promise<{ x: number; y: number }> {
    const at = await evaluate<{ x: number; y: number } | null>(`(() => {
      const found = document.querySelector(${JSON.stringify(selector)});
      if (!found) return null;
      found.scrollIntoView({ block: 'nearest', behavior: 'instant' });
      const rect = found.getClientRects()[0];
      return rect && { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 };
    })()`);
    if (!at) throw new Error(`nothing to be seen of ${selector}`);
    return at;
  }

  const mouse = (type: string, at: object): Promise<unknown> => tab.send('Input.dispatchMouseEvent', { type, button: type === 'mouseMoved' ? 'none' : 'left', clickCount: 1, ...at });

  return {
    tab,
    evaluate,
    async open(url) {
      await tab.send('Page.navigate', { url });
      await this.until('document.readyState === "complete"');
    },
    async until(expression, seconds = 30) {
      const end = Date.now() + seconds * 1000;
      // While a page is being loaded, there may be nothing to ask.
      while (!(await evaluate<boolean>(`Boolean(${expression})`).catch(() => false))) {
        if (Date.now() > end) throw new Error(`not so after ${seconds} s: ${expression}\nThe page's log:\n${tab.log.join('\n')}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    text: (selector) => evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`),
    async click(selector) {
      const at = await place(selector);
      for (const type of ['mouseMoved', 'mousePressed', 'mouseReleased']) await mouse(type, at);
    },
    async tap(selector) {
      await tab.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [await place(selector)] });
      await tab.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    },
    async move(selector) {
      await mouse('mouseMoved', await place(selector));
    },
    async press(key, modifiers = 0) {
      for (const type of ['keyDown', 'keyUp']) await tab.send('Input.dispatchKeyEvent', { type, key, modifiers, ...KEYS[key] });
    },
    async type(text) {
      await tab.send('Input.insertText', { text });
    },
    async drop(...paths) {
      for (const type of ['dragEnter', 'dragOver', 'drop']) {
        await tab.send('Input.dispatchDragEvent', { type, x: 150, y: 150, data: { items: [], files: paths, dragOperationsMask: 1 } });
      }
    },
    async screen(width, height, { dark = false, phone = false, reducedMotion = false } = {}) {
      const features = [
        { name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }, { name: 'prefers-reduced-motion', value: reducedMotion ? 'reduce' : 'no-preference' },
      ];
      await Promise.all([
        tab.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: phone ? 2 : 1, mobile: phone }),
        tab.send('Emulation.setTouchEmulationEnabled', { enabled: phone }), tab.send('Emulation.setEmulatedMedia', { features }),
      ]);
    },
    async screenshot(file, isWhole = false) {
      const { data } = await tab.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: isWhole });
      await writeFile(file, Buffer.from(String(data), 'base64'));
    },
  };
}
