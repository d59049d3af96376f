import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithThisProcess, killGroup } from './processes.js';

/** Where a Firefox may be; FIREFOX names another, or '' none. */
const PLACES = ['/usr/bin/firefox-esr', '/usr/bin/firefox', '/Applications/Firefox.app/Contents/MacOS/firefox'];

export const FIREFOX = process.env['FIREFOX'] ?? PLACES.find((place) => existsSync(place)) ?? '';
export const NO_FIREFOX = FIREFOX === '' ? ' (skipped: no Firefox is installed here)' : '';

type Preferences = Readonly<Record<string, boolean | number | string>>;

/** Nothing but the page that is asked for: no first-run pages, no updates, no requests of the browser's own. */
const QUIET: Preferences = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.aboutwelcome.enabled': false,
  'browser.newtabpage.enabled': false,
  'browser.safebrowsing.blockedURIs.enabled': false,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.safebrowsing.update.enabled': false,
  'browser.search.update': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'browser.topsites.contile.enabled': false,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.max_script_run_time': 0,
  'extensions.getAddons.cache.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'geo.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.disablePrefetch': true,
  'network.http.speculative-parallel-limit': 0,
  'network.prefetch-next': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.server': '',
  'toolkit.telemetry.unified': false,
  // A page whose test has gone closes itself, and the browser with it.
  'dom.allow_scripts_to_close_windows': true,
};

/** A headless browser with one page, which it is told to open when it starts; what it does can only be told by the page. */
export interface Firefox {
  /** Fulfilled when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** Such as "Firefox/153.7.0esr". */
export function firefoxVersion(): string {
  return execFileSync(FIREFOX, ['--version'], { encoding: 'utf8' }).trim().replace(/^Mozilla Firefox /, 'Firefox/');
}

/** Starts a browser with a new profile. @param preferences those of about:config. */
export async function startFirefox(url: string, preferences: Preferences = {}): Promise<Firefox> {
  const profile = await mkdtemp(join(tmpdir(), 'matmulfree-firefox-'));
  const lines = Object.entries({ ...QUIET, ...preferences }).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  await writeFile(join(profile, 'user.js'), lines.join(''));
  const child = spawn(FIREFOX, ['--headless', '--no-remote', '--profile', profile, url], {
    detached: true, stdio: 'ignore', env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1', MOZ_DATA_REPORTING: '0' },
  });
  endWithThisProcess(child);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  return {
    ended,
    async close() {
      killGroup(child);
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
