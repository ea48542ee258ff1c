import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';

/** A certificate and its private key, as PEM texts and as files. */
export interface Certificate {
  cert: string;
  key: string;
  certFile: string;
  keyFile: string;
}

/** A certificate authority. Its own certificate verifies every certificate that it signs. */
export interface CertificateAuthority extends Certificate {
  /** Signs a certificate that is valid for a server on loopback and for a client. */
  sign: (name: string) => Promise<Certificate>;
}

/** Creates a certificate authority. Writes its certificate, its key and all signed certificates to the folder. */
export async function createCertificateAuthority(folder: string, name: string): Promise<CertificateAuthority> {
  const own = await issueCertificate(folder, name, {
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const sign = (signed: string) =>
    issueCertificate(folder, signed, {
      ca: own,
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
      ],
    });
  return { ...own, sign };
}

async function issueCertificate(
  folder: string,
  name: string,
  options: Parameters<typeof generate>[1],
): Promise<Certificate> {
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    ...options,
  });
  const certFile = join(folder, `${name}.pem`);
  const keyFile = join(folder, `${name}.key`);
  await writeFile(certFile, made.cert);
  await writeFile(keyFile, made.private, { mode: 0o600 });
  return { cert: made.cert, key: made.private, certFile, keyFile };
}
