import { isAbsolute, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkout, loadSettings, SettingsError } from '../../dev/settings.js';

describe('the settings of the development stack', () => {
  it('when nothing is set, then every default is there', () => {
    expect(loadSettings({})).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      temporalPort: 7233,
      temporalUiPort: 8233,
      temporalAddress: undefined,
      temporalNamespace: 'default',
      databaseUrl: undefined,
      dataDir: join(checkout, '.data'),
      providersPort: 3001,
      carrierPickupSeconds: 1,
      carrierDeliverySeconds: 3,
    });
  });

  it('when a variable is empty, then it counts as unset', () => {
    expect(loadSettings({ PORT: '', TEMPORAL_ADDRESS: '', DATABASE_URL: '', DATA_DIR: '' })).toEqual(loadSettings({}));
  });

  it.each([
    ['PORT', '0'],
    ['PORT', '65536'],
    ['PORT', '3000x'],
    ['TEMPORAL_ADDRESS', 'http://localhost:7233'],
    ['DATABASE_URL', 'mysql://localhost/shop'],
    ['PAYMENTS_URL', 'payments.example.com'],
    ['CARRIER_PICKUP_SECONDS', '-1'],
    ['LOG_LEVEL', 'loud'],
  ])('when %s is %j, then the error names it, the value and an example', (name, value) => {
    const load = () => loadSettings({ [name]: value });
    expect(load).toThrow(SettingsError);
    expect(load).toThrow(new RegExp(`^${name}: .*Example: ${name}=`));
    expect(load).toThrow(value);
  });

  it('when several are wrong, then all are named at once', () => {
    expect(() => loadSettings({ PORT: 'x', TEMPORAL_PORT: 'y' })).toThrow(/PORT: "x"[^]*TEMPORAL_PORT: "y"/);
  });

  it('when a secret is wrong, then the error does not repeat it', () => {
    expect(() => loadSettings({ CARRIER_WEBHOOK_SECRET: 'hunter2' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
    );
  });

  it('when folders are given, then they become absolute, from the checkout and from the home folder', () => {
    const { dataDir, cacheDir } = loadSettings({ DATA_DIR: 'elsewhere', CACHE_DIR: '~/cache' });
    expect(dataDir).toBe(join(checkout, 'elsewhere'));
    expect(isAbsolute(cacheDir)).toBe(true);
  });
});
